import { isRecord } from '../checks.ts'
import type { OutboxSection } from '../stores/outbox.ts'
import type { Place } from '../stores/store.ts'
import type { Delivery } from '../types.ts'

const pageSize = 200

/**
 * Empties what was given up and tells of a person, whoever it was for. (What was delivered holds no words any
 * more, what is pending goes out and is emptied then.) Gives how many there were.
 */
export async function emptyUndelivered(
  outbox: OutboxSection | undefined,
  userId: string,
): Promise<number> {
  let rows = 0
  if (!outbox) return rows
  for (const status of ['dead', 'skipped'] as const) {
    let before: Place | undefined
    do {
      const page = await outbox.listDeliveries({ status }, { limit: pageSize, before })
      for (const delivery of page) {
        if (!tellsOf(delivery, userId)) continue
        const { revision: from } = delivery
        const after = { ...delivery, payload: {}, error: null, revision: from + 1 }
        if (await outbox.changeDelivery({ from, after }, [])) rows++
      }
      const last = page.length === pageSize ? page.at(-1) : undefined
      before = last && { at: last.createdAt, id: last.id }
    } while (before)
  }
  return rows
}

function tellsOf({ payload }: Delivery, userId: string): boolean {
  const { actor_id, target_user_id } =
    typeof payload.event === 'string' ? read(payload.event) : payload
  return actor_id === userId || target_user_id === userId
}

function read(json: string): Readonly<Record<string, unknown>> {
  try {
    const event: unknown = JSON.parse(json)
    return isRecord(event) ? event : {}
  } catch {
    return {}
  }
}
