import type { Command } from './command.ts'

interface Entry {
  readonly summary: string
  /** What a command needs is loaded when it is called. */
  load(): Promise<Command<unknown>>
}

const whole = <Args>(command: Command<Args>) => command as Command<unknown>

export const commands: Readonly<Record<string, Entry>> = {
  migrate: {
    summary: 'make the tables, or bring them up to date',
    load: async () => whole((await import('./migrate.ts')).migrateCommand),
  },
  sessions: {
    summary: 'show who is, or was, acting as whom',
    load: async () => whole((await import('./sessions.ts')).sessionsCommand),
  },
  revoke: {
    summary: 'end active sessions',
    load: async () => whole((await import('./revoke.ts')).revokeCommand),
  },
  export: {
    summary: 'write the audit events to a file or the standard output',
    load: async () => whole((await import('./export.ts')).exportCommand),
  },
  verify: {
    summary: 'check that no audit event was changed, removed or added',
    load: async () => whole((await import('./verify.ts')).verifyCommand),
  },
  prune: {
    summary: 'delete what was over long ago, for good',
    load: async () => whole((await import('./prune.ts')).pruneCommand),
  },
  erase: {
    summary: 'erase what is on record about a person, beside their id',
    load: async () => whole((await import('./erase.ts')).eraseCommand),
  },
  doctor: {
    summary: 'look for faults in the database and around it',
    load: async () => whole((await import('./doctor.ts')).doctorCommand),
  },
}
