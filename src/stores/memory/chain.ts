import type { AuditEvent } from '../../types.ts'
import type { ChainedEvent, ChainSection, Link } from '../chain.ts'
import type { RecordedEvent } from '../outbox.ts'

/** @param events what is stored, by id */
export function createChain(events: ReadonlyMap<string, AuditEvent>) {
  const links: Link[] = []
  const sealed = new Set<string>()

  /** What it gives puts those that are to be sealed behind the head. */
  function prepare(more: readonly RecordedEvent[]): () => void {
    const made: Link[] = []
    for (const { seal } of more) {
      if (seal) made.push(Object.freeze({ ...seal(made.at(-1) ?? links.at(-1) ?? null) }))
    }
    return () => {
      for (const link of made) sealed.add(link.eventId)
      links.push(...made)
    }
  }

  const section: ChainSection = {
    async readHead() {
      const head = links.at(-1)
      return head ? { seq: head.seq, mac: head.mac } : null
    },
    async readLinks(after, limit) {
      return links
        .slice(after, after + limit)
        .map((link): ChainedEvent => ({ link, event: events.get(link.eventId) ?? null }))
    },
    async readUnsealed(from, limit) {
      return [...events.values()]
        .filter(({ id, at }) => at >= from && !sealed.has(id))
        .sort((a, b) => a.at - b.at || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)))
        .slice(0, limit)
    },
  }

  return { section, prepare, links }
}
