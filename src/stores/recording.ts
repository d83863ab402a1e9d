import type { GuardedStore } from './guarded.ts'
import type { RecordedEvent } from './outbox.ts'

type Prepare = (events: readonly RecordedEvent[]) => readonly RecordedEvent[]

/**
 * Puts beside the events of every change what has to be stored with them, whichever door the change came
 * through.
 * @param prepare what an event is stored as
 * @param attempted told after each change, also a failed one: perhaps only its answer was lost
 */
export function recording(
  store: GuardedStore,
  prepare: (event: RecordedEvent) => RecordedEvent,
  attempted: (events: readonly RecordedEvent[]) => void = () => {},
): GuardedStore {
  async function change<T>(work: (prepared: Prepare) => Promise<T>): Promise<T> {
    const all: RecordedEvent[] = []
    const prepared: Prepare = (events) => {
      const made = events.map(prepare)
      all.push(...made)
      return made
    }
    try {
      return await work(prepared)
    } finally {
      attempted(all)
    }
  }

  const { grants, requests, tokens } = store
  return {
    ...store,
    claimSession: (claim) =>
      change((prepared) => {
        const { events, request } = claim
        const [started = events.started] = prepared([events.started])
        return store.claimSession({
          ...claim,
          ...(request && { request: { ...request, events: prepared(request.events) } }),
          events: { started, ended: (session, trail) => prepared(events.ended(session, trail)) },
        })
      }),
    endSession: (id, ending, event) =>
      change((prepared) =>
        store.endSession(
          id,
          ending,
          event && ((session, trail) => prepared(event(session, trail))),
        ),
      ),
    extendSession: (id, extension, event) =>
      change((prepared) =>
        store.extendSession(id, extension, (session) => prepared(event(session))),
      ),
    appendEvents: (events) => change((prepared) => store.appendEvents(prepared(events))),
    grants: grants && {
      ...grants,
      createGrant: (grant, events) =>
        change((prepared) => grants.createGrant(grant, prepared(events))),
      changeGrant: (grant, events, ending) =>
        change((prepared) =>
          grants.changeGrant(
            grant,
            prepared(events),
            ending && {
              ...ending,
              event: (session, trail) => prepared(ending.event(session, trail)),
            },
          ),
        ),
    },
    requests: requests && {
      ...requests,
      createRequest: (request, events, code) =>
        change((prepared) => requests.createRequest(request, prepared(events), code)),
      changeRequest: (request, events, code) =>
        change((prepared) => requests.changeRequest(request, prepared(events), code)),
    },
    tokens: tokens && {
      ...tokens,
      createToken: (token, hash, events, replaces) =>
        change((prepared) => tokens.createToken(token, hash, prepared(events), replaces)),
      changeToken: (token, events) =>
        change((prepared) => tokens.changeToken(token, prepared(events))),
    },
  }
}
