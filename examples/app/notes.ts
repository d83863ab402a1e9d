import type { AuditFields } from 'onbehalf'
import { impersonation } from './impersonation.ts'
import { Problem, signedIn } from './problems.ts'
import type { User } from './users.ts'

type Note = { id: number; text: string; written_by: string } & AuditFields

// Stands for a table with an organisation column.
const notes = new Map<string, Note[]>([
  ['staff', [{ id: 1, text: 'Rotate the on-call phone', written_by: 'root' }]],
  ['acme', [{ id: 2, text: 'Renew the lease in May', written_by: 'alice' }]],
  ['globex', [{ id: 3, text: 'Invite the new supplier', written_by: 'carol' }]],
])
let lastId = 3

/** The notes of the user's organisation. Nothing in here knows that the user may be impersonated. */
export function listNotes(user: User | null | undefined): { items: Note[] } {
  return { items: notes.get(signedIn(user).orgId) ?? [] }
}

/** Adds a note; `auditFields()` adds both names to it while somebody is impersonated, and nothing otherwise. */
export function addNote(user: User | null | undefined, body: unknown): Note {
  const { id, orgId } = signedIn(user)
  const text = (body as { text?: unknown } | null | undefined)?.text
  if (typeof text !== 'string' || text.trim() === '') throw new Problem(400, '"text" is missing')
  const note = { id: ++lastId, text, written_by: id, ...impersonation.auditFields() }
  notes.set(orgId, [...(notes.get(orgId) ?? []), note])
  return note
}
