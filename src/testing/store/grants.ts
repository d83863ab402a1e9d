import assert from 'node:assert/strict'
import type { GrantFilter, GrantSection, Place } from '../../stores/store.ts'
import { type Grant, grantStatuses } from '../../types.ts'
import { allEvents, minute, type Rule, same, t0 } from './fixtures.ts'
import {
  allGrants,
  changeOf,
  consent,
  grantEvent,
  grantOf,
  whereGranted,
} from './grant-fixtures.ts'
import { distinctIds, lossyIds } from './identities.ts'
import { everyPage, newestFirst } from './lists.ts'

export function grantRules(someRule: Rule): void {
  const rule = whereGranted(someRule)

  rule('a grant reads back as it was given, with its events', async (store, grants) => {
    const words = `it's "quoted" \\ %_ \r\n\t \u202e {"a":1} <b> $1 ? ; -- ${'🧯'.repeat(500)}`
    const full = grantOf({
      actorOrgId: 'staff',
      targetOrgId: 'acme',
      accessLevel: 'interactive',
      requestedAccessLevel: 'full',
      reason: words,
      ticket: words,
      durationMs: 7,
      decidedAt: t0 + minute,
      revision: 3,
    })
    const bare = grantOf({ createdAt: t0 - 1, reason: null })
    const events = [full, full, bare].map((grant) => grantEvent(grant))
    await grants.createGrant(full, events.slice(0, 2))
    await grants.createGrant(bare, events.slice(2))
    for (const grant of [full, bare]) same(await grants.readGrant(grant.id), grant)
    same(await allGrants(grants), [full, bare])
    const stored = newestFirst(events, (event) => event.at)
    same(
      newestFirst(await allEvents(store), (event) => event.at),
      stored,
    )
  })

  rule('every status of a grant is kept', async (_, grants) => {
    for (const status of grantStatuses) {
      const grant = await consent(grants, { status })
      same(await grants.readGrant(grant.id), grant)
    }
  })

  rule('a grant id is taken once and for all', async (store, grants) => {
    const first = await consent(grants)
    const events = await allEvents(store)
    const again = grantOf({ id: first.id, actorId: 'sup' })
    await assert.rejects(grants.createGrant(again, [grantEvent(again)]))
    same(await allGrants(grants), [first])
    same(await allEvents(store), events)
  })

  rule('a grant whose events cannot be stored is not there', async (store, grants) => {
    const first = await consent(grants)
    const [taken] = await allEvents(store)
    const next = grantOf()
    const event = grantEvent(next)
    for (const unstorable of [
      [event, { ...event, id: taken?.id ?? '' }],
      [event, event],
    ]) {
      await assert.rejects(grants.createGrant(next, unstorable))
    }
    same(await grants.readGrant(next.id), null)
    same(await allGrants(grants), [first])
    same(await allEvents(store), [taken])
  })

  rule('what was handed in or out can change no grant that is stored', async (_, grants) => {
    const grant = { ...(await consent(grants)) }
    const { after } = changeOf(grant, { ticket: 'T-1' })
    const change = { from: grant.revision, after: { ...after } }
    await grants.changeGrant(change, [], null)
    for (const value of [
      change.after,
      await grants.readGrant(grant.id),
      (await allGrants(grants))[0],
    ])
      tamper(value)
    same(await grants.readGrant(grant.id), after)
  })

  rule('grants are listed newest first, ties by id, and paged without loss', async (_, grants) => {
    const expected = newestFirst(await manyGrants(grants), (grant) => grant.createdAt)
    same(await allGrants(grants), expected)
    for (const limit of [1, 2, 3, 100]) {
      const read = (before?: Place) => grants.listGrants({}, { limit, before })
      same(await everyPage(read, limit, (grant) => grant.createdAt), expected, `pages of ${limit}`)
    }
    const before = { at: t0 + 1, id: 'list-4x' }
    same(
      await grants.listGrants({}, { limit: 100, before }),
      expected.filter(
        ({ createdAt, id }) => createdAt < before.at || (createdAt === before.at && id < before.id),
      ),
      'after a place whose row is not there',
    )
  })

  rule('every filter of grants holds, alone and together', async (_, grants) => {
    const stored = newestFirst(await manyGrants(grants), (grant) => grant.createdAt)
    const cases: [GrantFilter, (grant: Grant) => boolean][] = [
      [{ status: 'granted' }, (g) => g.status === 'granted'],
      [{ status: 'expired' }, () => false],
      [{ actorId: 'actor-1' }, (g) => g.actorId === 'actor-1'],
      [{ targetUserId: 'target-2' }, (g) => g.targetUserId === 'target-2'],
      [{ actorId: 'target-2' }, () => false],
      [{ expiredBy: t0 + 2 }, (g) => g.expiresAt <= t0 + 2],
      [{ expiredBy: t0 - 1 }, () => false],
      [
        { status: 'pending', expiredBy: t0 + 5 },
        (g) => g.status === 'pending' && g.expiresAt <= t0 + 5,
      ],
      [
        { status: 'pending', actorId: 'actor-0', targetUserId: 'target-0', expiredBy: t0 + 9 },
        (g) => g.status === 'pending' && g.actorId === 'actor-0' && g.targetUserId === 'target-0',
      ],
    ]
    for (const [filter, matches] of cases) {
      const name = JSON.stringify(filter)
      const expected = stored.filter(matches)
      same(await grants.listGrants(filter, { limit: 100 }), expected, name)
      const read = (before?: Place) => grants.listGrants(filter, { limit: 1, before })
      same(await everyPage(read, 1, (grant) => grant.createdAt), expected, `${name}, paged`)
    }
  })

  rule('look-alikes of a person have grants of their own', async (_, grants) => {
    for (const [n, id] of distinctIds.entries()) {
      await consent(grants, { actorId: id, targetUserId: `target of ${n}` })
      await consent(grants, { actorId: `actor of ${n}`, targetUserId: id })
    }
    for (const id of distinctIds) {
      const asked = await grants.listGrants({ actorId: id }, { limit: 100 })
      const asking = await grants.listGrants({ targetUserId: id }, { limit: 100 })
      const found = [asked.map(({ actorId }) => actorId), asking.map((grant) => grant.targetUserId)]
      same(found, [[id], [id]], JSON.stringify(id))
    }
  })

  rule('a look-alike of a grant id finds and changes nothing', async (store, grants) => {
    const grant = await consent(grants, { id: 'Grant-é' })
    for (const id of lookAlikes) {
      same(await grants.readGrant(id), null, id)
      const change = changeOf({ ...grant, id }, { status: 'revoked' })
      same(
        await grants.changeGrant(change, [grantEvent(change.after)], null),
        { changed: false },
        id,
      )
    }
    same(await allGrants(grants), [grant])
    assert.equal((await allEvents(store)).length, 1)
  })

  rule('an id of a grant is kept as it is or refused, never as another', async (_, grants) => {
    for (const [lossy, likely] of lossyIds) {
      const name = JSON.stringify(lossy).slice(-20)
      const grant = grantOf({ actorId: lossy })
      const kept = await grants.createGrant(grant, []).then(
        () => [grant],
        () => [],
      )
      same(await grants.listGrants({ actorId: likely }, { limit: 9 }), [], name)
      same(await grants.listGrants({ actorId: lossy }, { limit: 9 }), kept, name)
      same(await grants.readGrant(grant.id), kept[0] ?? null, name)
    }
    for (const [n, [lossy, likely]] of lossyIds.slice(1).entries()) {
      const named = (id: string) => (id.length < 255 ? `${n}${id}` : id)
      const grant = await consent(grants, { id: named(likely) })
      const other = named(lossy)
      same(await grants.readGrant(other), null)
      const change = changeOf({ ...grant, id: other }, { status: 'revoked' })
      await grants.changeGrant(change, [], null).catch(() => {})
      same(await grants.readGrant(grant.id), grant)
    }
  })
}

export const lookAlikes = [
  'grant-é',
  'Grant-é ',
  ' Grant-é',
  'Grant-e\u0301',
  'Grant-É',
  'Grant-_',
  'Grant-é|',
]

function tamper(value: object | null | undefined): void {
  try {
    Object.assign(value ?? {}, { ticket: 'T-2', status: 'revoked' })
  } catch {
    // Frozen is as good as copied.
  }
}

/** Two of everything, and instants that collide; ids in an order of their own. */
async function manyGrants(grants: GrantSection): Promise<Grant[]> {
  const stored: Grant[] = []
  for (const [n, id] of ['5', '2', '9', '1', '4', '7', '3', '8'].entries()) {
    stored.push(
      await consent(grants, {
        id: `list-${id}`,
        actorId: `actor-${n % 2}`,
        targetUserId: `target-${n % 4}`,
        status: (['granted', 'pending', 'pending', 'revoked'] as const)[n % 4] ?? 'used',
        createdAt: t0 + (n % 3),
        expiresAt: t0 + n,
      }),
    )
  }
  const tie = { id: 'list-6', actorId: 'actor-0', targetUserId: 'target-0', expiresAt: t0 + 8 }
  stored.push(await consent(grants, { ...tie, status: 'pending' }))
  return stored
}
