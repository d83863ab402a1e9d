import { eventToWire } from '../audit/formats.ts'
import type { EventFilter } from '../stores/store.ts'
import { download, listed } from './json.ts'
import type { Call, Route, Shapes } from './route.ts'
import { actionToWire, toMs, unknownCursor } from './wire.ts'

type Shape<T extends keyof Shapes> = Shapes[T]['_zod']['output']
type Asked = Omit<Shape<'auditQuery'>, 'limit' | 'cursor'>

function filterOf(asked: Asked): EventFilter {
  const filter = {
    action: asked.action,
    actorId: asked.actor_id,
    targetUserId: asked.target_user_id,
    sessionId: asked.session_id,
    from: toMs(asked.from),
    to: toMs(asked.to),
  }
  const given = Object.entries(filter).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given) as EventFilter
}

function list({ audit, caller, query }: Call): Promise<Response> {
  const asked = query as Shape<'auditQuery'>
  return listed(
    asked,
    (page) => audit.list(caller, filterOf(asked), page),
    ({ at, id }) => ({ at, id }),
    eventToWire,
  )
}

async function exported({ audit, caller, query, base }: Call): Promise<Response> {
  const { format: name = 'jsonl', ...asked } = query as Shape<'exportQuery'>
  const { format, pieces } = await audit.export(caller, filterOf(asked), name, base)
  return download(pieces, format.contentType, `impersonation-events.${format.extension}`)
}

function actions({ audit, caller, params, query }: Call): Promise<Response> {
  const asked = query as Shape<'pageQuery'>
  const { id = '' } = params
  return listed(
    asked,
    ({ before, limit }) => {
      // A place in the trail of another session is none in this.
      if (before && before.id !== id) throw unknownCursor()
      return audit.actions(caller, id, { after: before?.at ?? 0, limit })
    },
    ({ seq, sessionId }) => ({ at: seq, id: sessionId }),
    actionToWire,
  )
}

const reading = {
  method: 'GET',
  who: 'login',
  status: 200,
  codes: ['not_allowed'],
} as const

/** What is on record, for those who may read it. */
export const auditRoutes: readonly Route[] = [
  {
    ...reading,
    path: '/audit',
    summary: 'Audit events, newest first',
    query: 'auditQuery',
    answer: 'auditAnswer',
    run: list,
  },
  {
    ...reading,
    path: '/audit/export',
    summary: 'All audit events that match, as a file: JSON Lines, CSV or CloudEvents',
    query: 'exportQuery',
    run: exported,
  },
  {
    ...reading,
    path: '/sessions/:id/actions',
    summary: 'What was done under a session, in that order',
    query: 'pageQuery',
    answer: 'actionsAnswer',
    codes: ['not_allowed', 'session_not_found'],
    run: actions,
  },
]
