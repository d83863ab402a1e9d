/** Wrong usage: the command line has to be written otherwise. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Something the command found or met, as a sentence for whoever runs it. */
export class Fault extends Error {
  override readonly name = 'Fault'
}

export const exits = { done: 0, fault: 1, usage: 2 } as const
export type Exit = (typeof exits)[keyof typeof exits]
