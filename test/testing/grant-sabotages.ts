import type { GrantSection, Store } from '../../src/stores/store.ts'

/** What is wrong with a store, put around one that keeps the contract. */
export type Sabotage = (store: Store) => Partial<Store>

export type GrantSabotage = (grants: GrantSection, store: Store) => Partial<GrantSection>

/** Faults of the section `grants`. */
export const grantSabotages: Record<string, GrantSabotage> = {
  'takes a grant id a second time': (grants) => ({
    createGrant: async (grant, events) => {
      if (!(await grants.readGrant(grant.id))) await grants.createGrant(grant, events)
    },
  }),
  'stores the events of a grant afterwards': (grants, store) => ({
    createGrant: async (grant, events) => {
      await grants.createGrant(grant, [])
      await store.appendEvents(events)
    },
  }),
  'forgets the events of a grant': (grants) => ({
    createGrant: (grant) => grants.createGrant(grant, []),
  }),
  'forgets who was to be asked': (grants) => ({
    createGrant: (grant, events) => grants.createGrant({ ...grant, targetOrgId: null }, events),
  }),
  'forgets what was asked for': (grants) => ({
    createGrant: (grant, events) =>
      grants.createGrant({ ...grant, requestedAccessLevel: grant.accessLevel }, events),
  }),
  'drops spaces at the end of a grant id': (grants) => ({
    readGrant: (id) => grants.readGrant(id.trimEnd()),
  }),
  'changes a grant by a look-alike of its id': (grants) => ({
    changeGrant: ({ from, after }, events, ending) => {
      const id = after.id.normalize('NFC').trim()
      return grants.changeGrant({ from, after: { ...after, id } }, events, ending)
    },
  }),
  'ends grant ids at NUL': (grants) => ({
    readGrant: (id) => grants.readGrant(id.split('\0')[0] ?? ''),
  }),
  'lists the oldest grants first': (grants) => ({
    listGrants: async (filter, page) => (await grants.listGrants(filter, page)).reverse(),
  }),
  'pages grants by the instant alone': (grants) => ({
    listGrants: (filter, { limit, before }) =>
      grants.listGrants(filter, { limit, before: before && { at: before.at, id: '' } }),
  }),
  'takes the status of grants for no filter': (grants) => ({
    listGrants: ({ status: _, ...filter }, page) => grants.listGrants(filter, page),
  }),
  'lists grants a millisecond before their time is up': (grants) => ({
    listGrants: ({ expiredBy, ...filter }, page) =>
      grants.listGrants(
        expiredBy === undefined ? filter : { ...filter, expiredBy: expiredBy + 1 },
        page,
      ),
  }),
  'lists grants a millisecond after their time is up': (grants) => ({
    listGrants: ({ expiredBy, ...filter }, page) =>
      grants.listGrants(
        expiredBy === undefined ? filter : { ...filter, expiredBy: expiredBy - 1 },
        page,
      ),
  }),
  'changes a grant from any revision': (grants) => ({
    changeGrant: async (change, events, ending) => {
      const from = (await grants.readGrant(change.after.id))?.revision ?? change.from
      return grants.changeGrant({ ...change, from }, events, ending)
    },
  }),
  'stores the events of a change afterwards': (grants, store) => ({
    changeGrant: async (change, events, ending) => {
      const result = await grants.changeGrant(change, [], ending)
      if (result.changed) await store.appendEvents(events)
      return result
    },
  }),
  'stores the events of a change that was none': (grants, store) => ({
    changeGrant: async (change, events, ending) => {
      const result = await grants.changeGrant(change, events, ending)
      if (!result.changed) await store.appendEvents(events)
      return result
    },
  }),
  'ends no session with its grant': (grants) => ({
    changeGrant: (change, events) => grants.changeGrant(change, events, null),
  }),
  'ends the session in a second unit': (grants, store) => ({
    changeGrant: async (change, events, ending) => {
      const result = await grants.changeGrant(change, events, null)
      if (!result.changed || !ending) return result
      const sessions = await store.listSessions({ status: 'active' }, { limit: 1e6 })
      const session = sessions.find(({ grantId }) => grantId === change.after.id)
      const ended = session && (await store.endSession(session.id, ending.how, ending.event))
      return { changed: true, ended: ended?.session ?? null }
    },
  }),
  'ends the session though its grant was not changed': (grants, store) => ({
    changeGrant: async (change, events, ending) => {
      const result = await grants.changeGrant(change, events, ending)
      const sessions = await store.listSessions({ status: 'active' }, { limit: 1e6 })
      const session = sessions.find(({ grantId }) => grantId === change.after.id)
      if (session && ending) await store.endSession(session.id, ending.how, ending.event)
      return result
    },
  }),
  'does not tell which session a change ended': (grants) => ({
    changeGrant: async (change, events, ending) => {
      const result = await grants.changeGrant(change, events, ending)
      return result.changed ? { changed: true, ended: null } : result
    },
  }),
  'calls a revoked grant used': (grants) => ({
    changeGrant: ({ from, after }, events, ending) => {
      const status = ending && after.status === 'revoked' ? 'used' : after.status
      return grants.changeGrant({ from, after: { ...after, status } }, events, ending)
    },
  }),
}

/** Faults of what the other verbs do to grants. */
export const consentSabotages: Record<string, Sabotage> = {
  'starts under a grant whatever became of it': (store) => ({
    claimSession: ({ grant: _, ...claim }) => store.claimSession(claim),
  }),
  'changes the grant before the start, in a unit of its own': (store) => ({
    claimSession: async ({ grant, ...claim }) => {
      if (!grant) return store.claimSession(claim)
      const result = await store.grants?.changeGrant(grant, [], null)
      return result?.changed
        ? store.claimSession(claim)
        : { outcome: 'grant_changed' as const, ended: [] }
    },
  }),
  'compares the revision before it ends what is over': (store) => ({
    claimSession: async (claim) => {
      const stored = claim.grant && (await store.grants?.readGrant(claim.grant.after.id))
      if (!claim.grant || stored?.revision !== claim.grant.from) return store.claimSession(claim)
      const { grant, ...rest } = claim
      const result = await store.claimSession(rest)
      const now = await store.grants?.readGrant(grant.after.id)
      if (result.outcome === 'started' && now) {
        const after = { ...grant.after, revision: now.revision + 1 }
        await store.grants?.changeGrant({ from: now.revision, after }, [], null)
      }
      return result
    },
  }),
  'acknowledges at the start even where the grant changed': (store) => ({
    claimSession: async (claim) => {
      const result = await store.claimSession(claim)
      if (result.outcome === 'grant_changed') await store.acknowledgeLapses(claim.session.actorId)
      return result
    },
  }),
  'lets the old session go before it finds the grant changed': (store) => ({
    claimSession: async (claim) => {
      const result = await store.claimSession(claim)
      const { active } = await store.readStanding(claim.session.actorId)
      if (result.outcome !== 'grant_changed' || !active) return result
      const how = { status: 'replaced', reason: 'replaced', at: claim.now, by: null } as const
      const ending = { ...how, note: null, acknowledged: true }
      await store.endSession(active.id, ending, claim.events.ended)
      return result
    },
  }),
  'leaves grants as they are when their sessions end': (store) => ({
    endSession: async (id, ending, event) => {
      const grantId = (await store.readSession(id))?.grantId
      const before = grantId ? await store.grants?.readGrant(grantId) : null
      const result = await store.endSession(id, ending, event)
      const after = grantId ? await store.grants?.readGrant(grantId) : null
      if (before && after && before.revision !== after.revision) {
        await store.grants?.changeGrant({ from: after.revision, after: before }, [], null)
      }
      return result
    },
  }),
  'uses up grants that were revoked': (store) => ({
    endSession: async (id, ending, event) => {
      const result = await store.endSession(id, ending, event)
      const grantId = result?.changed ? result.session.grantId : null
      const grant = grantId ? await store.grants?.readGrant(grantId) : null
      if (grant && grant.status !== 'used') {
        const after = { ...grant, status: 'used' as const, revision: grant.revision + 1 }
        await store.grants?.changeGrant({ from: grant.revision, after }, [], null)
      }
      return result
    },
  }),
  'leaves the grants of the sessions that a start ends': (store) => ({
    claimSession: async (claim) => {
      const before = (await store.grants?.listGrants({ status: 'granted' }, { limit: 1e6 })) ?? []
      const result = await store.claimSession(claim)
      for (const { grantId } of result.ended) {
        const old = before.find(({ id }) => id === grantId)
        const now = old && (await store.grants?.readGrant(old.id))
        if (old && now)
          await store.grants?.changeGrant({ from: now.revision, after: old }, [], null)
      }
      return result
    },
  }),
}
