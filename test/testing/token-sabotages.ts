import type { RecordedEvent } from '../../src/stores/outbox.ts'
import type { Store } from '../../src/stores/store.ts'
import type { TokenChange, TokenSection } from '../../src/stores/tokens.ts'
import type { ApiToken } from '../../src/types.ts'

type TokenSabotage = (tokens: TokenSection, store: Store) => Partial<TokenSection>

const without =
  (what: 'deliveries' | 'seal') =>
  (events: readonly RecordedEvent[]): RecordedEvent[] =>
    events.map(({ [what]: _, ...event }) => event)
const withoutDeliveries = without('deliveries')
const withoutSeals = without('seal')

/** A store that reads every token otherwise than it is. */
const reading =
  (change: (token: ApiToken) => ApiToken | null): TokenSabotage =>
  (tokens) => ({
    readToken: async (id) => {
      const token = await tokens.readToken(id)
      return token && change(token)
    },
    findToken: async (hash) => {
      const token = await tokens.findToken(hash)
      return token && change(token)
    },
    listTokens: async (filter, page) =>
      (await tokens.listTokens(filter, page)).flatMap((token) => change(token) ?? []),
  })

/** A store that creates every token otherwise than it was told. */
const creating =
  (change: (token: ApiToken) => ApiToken): TokenSabotage =>
  (tokens) => ({
    createToken: (token, ...rest) => tokens.createToken(change(token), ...rest),
  })

/** A store that knows a token by more than its whole hash. */
const findingBy =
  (nameOf: (hash: string) => string): TokenSabotage =>
  (tokens) => {
    const known = new Map<string, string>()
    return {
      createToken: async (token, hash, events, replaces) => {
        const answer = await tokens.createToken(token, hash, events, replaces)
        if (answer === 'created') known.set(nameOf(hash), hash)
        return answer
      },
      findToken: (hash) => tokens.findToken(known.get(nameOf(hash)) ?? hash),
    }
  }

async function isThere(tokens: TokenSection, { from, after }: TokenChange): Promise<boolean> {
  return (await tokens.readToken(after.id))?.revision === from
}

/** Faults of the section `tokens`. */
export const tokenSabotages: Record<string, TokenSabotage> = {
  'takes an id of a token a second time': (tokens) => ({
    createToken: async (token, ...rest) =>
      (await tokens.readToken(token.id)) ? 'created' : tokens.createToken(token, ...rest),
  }),
  'takes a hash a second time': (tokens) => ({
    createToken: async (token, hash, ...rest) =>
      (await tokens.findToken(hash)) ? 'created' : tokens.createToken(token, hash, ...rest),
  }),
  'takes the hash of a token that is revoked a second time': (tokens) => ({
    createToken: async (token, hash, ...rest) =>
      (await tokens.findToken(hash))?.revokedAt
        ? 'created'
        : tokens.createToken(token, hash, ...rest),
  }),
  'keeps the hash of a token that was not created': (tokens) => {
    const taken = new Set<string>()
    return {
      createToken: async (token, hash, ...rest) => {
        if (taken.has(hash)) throw new Error('duplicate key')
        taken.add(hash)
        return tokens.createToken(token, hash, ...rest)
      },
    }
  },
  'looks for a hash first and stores it afterwards': (tokens) => ({
    createToken: async (token, hash, ...rest) => {
      if (await tokens.findToken(hash)) throw new Error('duplicate key')
      await new Promise((resolve) => setImmediate(resolve))
      if (await tokens.findToken(hash)) return 'created'
      return tokens.createToken(token, hash, ...rest)
    },
  }),
  'takes no notice of case in hashes': (tokens) => ({
    findToken: (hash) => tokens.findToken(hash.toLowerCase()),
  }),
  'drops spaces at the end of a hash': (tokens) => ({
    findToken: (hash) => tokens.findToken(hash.trimEnd()),
  }),
  'ends hashes at NUL': (tokens) => ({
    findToken: (hash) => tokens.findToken(hash.split('\0')[0] ?? ''),
  }),
  'finds a token by the beginning of its hash': findingBy((hash) => hash.slice(0, 63)),
  'finds a token by its id': (tokens) => ({
    findToken: async (hash) => (await tokens.findToken(hash)) ?? tokens.readToken(hash),
  }),
  'takes a hash for an id': (tokens) => ({
    readToken: async (id) => (await tokens.readToken(id)) ?? tokens.findToken(id),
  }),
  'hands out hashes': (tokens) => ({
    findToken: async (hash) => {
      const token = await tokens.findToken(hash)
      return token && { ...token, hash }
    },
  }),
  'finds no token that is revoked': (tokens) => ({
    findToken: async (hash) => {
      const token = await tokens.findToken(hash)
      return token?.revokedAt === null ? token : null
    },
  }),
  'finds no token that was changed': (tokens) => ({
    findToken: async (hash) => {
      const token = await tokens.findToken(hash)
      return token && token.revision === 1 ? token : null
    },
  }),
  'finds a token as it was at first': (tokens) => {
    const kept = new Map<string, ApiToken>()
    return {
      findToken: async (hash) => {
        const token = kept.get(hash) ?? (await tokens.findToken(hash))
        if (token) kept.set(hash, token)
        return token
      },
    }
  },
  'forgets the organisation of a token': creating((token) => ({ ...token, userOrgId: null })),
  'sorts scopes': creating((token) => ({ ...token, scopes: token.scopes.toSorted() })),
  'joins scopes by commas': creating((token) => ({
    ...token,
    scopes: token.scopes.length === 0 ? [] : token.scopes.join(',').split(','),
  })),
  'makes no scopes one that is empty': creating((token) => ({
    ...token,
    scopes: token.scopes.join('\t').split('\t'),
  })),
  'cuts long names of tokens': creating((token) => ({ ...token, name: token.name.slice(0, 500) })),
  'cuts long prefixes': creating((token) => ({ ...token, prefix: token.prefix.slice(0, 64) })),
  'knows no instant after the year 2100': reading((token) => ({
    ...token,
    expiresAt: Math.min(token.expiresAt, t2100),
  })),
  'forgets the events of a token': (tokens) => ({
    createToken: (token, hash, _, replaces) => tokens.createToken(token, hash, [], replaces),
  }),
  'stores the events of a token afterwards': (tokens, store) => ({
    createToken: async (token, hash, events, replaces) => {
      const answer = await tokens.createToken(token, hash, [], replaces)
      if (answer === 'created') await store.appendEvents(events)
      return answer
    },
  }),
  'stores the events of a changed token afterwards': (tokens, store) => ({
    changeToken: async (change, events) => {
      const changed = await tokens.changeToken(change, [])
      if (changed) await store.appendEvents(events)
      return changed
    },
  }),
  'stores the events of a change of a token that was none': (tokens, store) => ({
    changeToken: async (change, events) => {
      const changed = await tokens.changeToken(change, events)
      if (!changed) await store.appendEvents(events)
      return changed
    },
  }),
  'delivers nothing for a token': (tokens) => ({
    createToken: (token, hash, events, replaces) =>
      tokens.createToken(token, hash, withoutDeliveries(events), replaces),
  }),
  'delivers nothing for a change of a token': (tokens) => ({
    changeToken: (change, events) => tokens.changeToken(change, withoutDeliveries(events)),
  }),
  'seals nothing with a token': (tokens) => ({
    createToken: (token, hash, events, replaces) =>
      tokens.createToken(token, hash, withoutSeals(events), replaces),
  }),
  'seals nothing with a change of a token': (tokens) => ({
    changeToken: (change, events) => tokens.changeToken(change, withoutSeals(events)),
  }),
  'drops spaces at the end of a token id': (tokens) => ({
    readToken: (id) => tokens.readToken(id.trimEnd()),
  }),
  'ends token ids at NUL': (tokens) => ({
    readToken: (id) => tokens.readToken(id.split('\0')[0] ?? ''),
  }),
  'changes a token by a look-alike of its id': (tokens) => ({
    changeToken: ({ from, after }, events) =>
      tokens.changeToken({ from, after: { ...after, id: plain(after.id) } }, events),
  }),
  'replaces a token by a look-alike of its id': (tokens) => ({
    createToken: (token, hash, events, replaces) => {
      const after = replaces && { ...replaces.after, id: plain(replaces.after.id) }
      const change = after && { ...replaces, after }
      return tokens.createToken(token, hash, events, change)
    },
  }),
  'hands out the tokens that it keeps': (tokens) => {
    const kept = new Map<string, object>()
    return {
      readToken: async (id) => {
        const token = await tokens.readToken(id)
        if (token && !kept.has(id)) kept.set(id, { ...token })
        return (kept.get(id) as typeof token) ?? null
      },
    }
  },
  'hands out the scopes that it keeps': (tokens) => {
    const kept = new Map<string, string[]>()
    return {
      findToken: async (hash) => {
        const token = await tokens.findToken(hash)
        if (!token) return null
        const scopes = kept.get(hash) ?? [...token.scopes]
        kept.set(hash, scopes)
        return { ...token, scopes }
      },
    }
  },
  'lists the oldest tokens first': (tokens) => ({
    listTokens: async (filter, page) => (await tokens.listTokens(filter, page)).reverse(),
  }),
  'pages tokens by the instant alone': (tokens) => ({
    listTokens: (filter, { limit, before }) =>
      tokens.listTokens(filter, { limit, before: before && { at: before.at, id: '' } }),
  }),
  'gives a token more than the limit': (tokens) => ({
    listTokens: (filter, page) => tokens.listTokens(filter, { ...page, limit: page.limit + 1 }),
  }),
  'takes the owner of tokens for no filter': (tokens) => ({
    listTokens: ({ userId: _, ...filter }, page) => tokens.listTokens(filter, page),
  }),
  'takes the organisation of tokens for no filter': (tokens) => ({
    listTokens: ({ orgId: _, ...filter }, page) => tokens.listTokens(filter, page),
  }),
  'takes the issuer of tokens for no filter': (tokens) => ({
    listTokens: ({ issuedBy: _, ...filter }, page) => tokens.listTokens(filter, page),
  }),
  'lists no token that is revoked': (tokens) => ({
    listTokens: async (filter, page) =>
      (await tokens.listTokens(filter, page)).filter(({ revokedAt }) => revokedAt === null),
  }),
  'changes a token from any revision': (tokens) => ({
    changeToken: async (change, events) => {
      const from = (await tokens.readToken(change.after.id))?.revision ?? change.from
      return tokens.changeToken({ ...change, from }, events)
    },
  }),
  'says of every change of a token that it was made': (tokens) => ({
    changeToken: async (change, events) => {
      await tokens.changeToken(change, events)
      return true
    },
  }),
  'changes a token that it reads first': (tokens) => ({
    changeToken: async (change, events) => {
      const holds = await isThere(tokens, change)
      await new Promise((resolve) => setImmediate(resolve))
      if (!holds) return false
      const from = (await tokens.readToken(change.after.id))?.revision ?? 0
      return tokens.changeToken({ ...change, from }, events)
    },
  }),
  'keeps the use that a change brings': (tokens) => ({
    changeToken: async (change, events) => {
      const changed = await tokens.changeToken(change, events)
      const { id, lastUsedAt } = change.after
      if (changed && lastUsedAt !== null) await tokens.touchTokens([{ id, at: lastUsedAt }], 0)
      return changed
    },
  }),
  'takes a use back with a change': (tokens) => {
    const back = new Map<string, number | null>()
    const with_ = (token: ApiToken | null) =>
      token && back.has(token.id) ? { ...token, lastUsedAt: back.get(token.id) ?? null } : token
    return {
      changeToken: async (change, events) => {
        const changed = await tokens.changeToken(change, events)
        if (changed) back.set(change.after.id, change.after.lastUsedAt)
        return changed
      },
      touchTokens: (uses, everyMs) => {
        for (const { id } of uses) back.delete(id)
        return tokens.touchTokens(uses, everyMs)
      },
      readToken: async (id) => with_(await tokens.readToken(id)),
    }
  },
  'fails to revoke over who did it': (tokens) => ({
    changeToken: async (change, events) => {
      const { revokedBy } = change.after
      if (revokedBy && revokedBy.length > 255) throw new Error('value too long')
      return tokens.changeToken(change, events)
    },
  }),
  'replaces a token whatever became of it': (tokens) => ({
    createToken: async (token, hash, events, replaces) => {
      const from = replaces && (await tokens.readToken(replaces.after.id))?.revision
      const change = replaces && { ...replaces, from: from ?? replaces.from }
      return tokens.createToken(token, hash, events, change)
    },
  }),
  'creates a token in place of one that is not there': (tokens) => ({
    createToken: async (token, hash, events, replaces) => {
      const old = replaces && (await tokens.readToken(replaces.after.id))
      return tokens.createToken(token, hash, events, old ? replaces : null)
    },
  }),
  'leaves the token that another comes in place of': (tokens) => ({
    createToken: async (token, hash, events, replaces) =>
      replaces && !(await isThere(tokens, replaces))
        ? 'changed_since'
        : tokens.createToken(token, hash, events, null),
  }),
  'changes the old token before the new one, in a unit of its own': (tokens) => ({
    createToken: async (token, hash, events, replaces) =>
      replaces && !(await tokens.changeToken(replaces, []))
        ? 'changed_since'
        : tokens.createToken(token, hash, events, null),
  }),
  'changes the old token after the new one, in a unit of its own': (tokens) => ({
    createToken: async (token, hash, events, replaces) => {
      if (replaces && !(await isThere(tokens, replaces))) return 'changed_since'
      const answer = await tokens.createToken(token, hash, events, null)
      if (replaces) await tokens.changeToken(replaces, [])
      return answer
    },
  }),
  'says of every token that it was created': (tokens) => ({
    createToken: async (token, hash, events, replaces) => {
      await tokens.createToken(token, hash, events, replaces)
      return 'created'
    },
  }),
  'rejects where the old token has changed': (tokens) => ({
    createToken: async (token, hash, events, replaces) => {
      const answer = await tokens.createToken(token, hash, events, replaces)
      if (answer === 'changed_since') throw new Error('changed since')
      return answer
    },
  }),
  'stores the events of a token in place of one that has changed': (tokens, store) => ({
    createToken: async (token, hash, events, replaces) => {
      const answer = await tokens.createToken(token, hash, events, replaces)
      if (answer === 'changed_since') await store.appendEvents(events)
      return answer
    },
  }),
  'gives the new token the hash of the old one': (tokens) => {
    const moved = new Map<string, string>()
    return {
      createToken: async (token, hash, events, replaces) => {
        const answer = await tokens.createToken(token, hash, events, replaces)
        if (replaces && answer === 'created') moved.set(replaces.after.id, hash)
        return answer
      },
      findToken: async (hash) => {
        const token = await tokens.findToken(hash)
        return token && tokens.findToken(moved.get(token.id) ?? hash)
      },
    }
  },
  'keeps no use': () => ({ touchTokens: async () => {} }),
  'keeps every use': (tokens) => ({
    touchTokens: (uses) => tokens.touchTokens(uses, 0),
  }),
  'keeps the first use alone': (tokens) => ({
    touchTokens: (uses) => tokens.touchTokens(uses, 1e12),
  }),
  'keeps a use a millisecond early': (tokens) => ({
    touchTokens: (uses, everyMs) => tokens.touchTokens(uses, everyMs - 1),
  }),
  'keeps a use a millisecond late': (tokens) => ({
    touchTokens: (uses, everyMs) => tokens.touchTokens(uses, everyMs + 1),
  }),
  'keeps a use that comes late': (tokens) => ({
    touchTokens: (uses, everyMs) => tokens.touchTokens(uses, everyMs === 0 ? -1e12 : everyMs),
  }),
  'keeps a use to the minute': (tokens) => ({
    touchTokens: (uses, everyMs) =>
      tokens.touchTokens(
        uses.map(({ id, at }) => ({ id, at: at - (at % 60_000) })),
        everyMs,
      ),
  }),
  'keeps one use of a batch': (tokens) => ({
    touchTokens: (uses, everyMs) => tokens.touchTokens(uses.slice(0, 1), everyMs),
  }),
  'keeps six hundred uses of a batch': (tokens) => ({
    touchTokens: (uses, everyMs) => tokens.touchTokens(uses.slice(0, 600), everyMs),
  }),
  'keeps the latest use of a batch for all': (tokens) => ({
    touchTokens: (uses, everyMs) => {
      const at = Math.max(...uses.map((use) => use.at))
      return tokens.touchTokens(
        uses.map(({ id }) => ({ id, at })),
        everyMs,
      )
    },
  }),
  'changes the revision with a use': (tokens) => ({
    touchTokens: async (uses, everyMs) => {
      await tokens.touchTokens(uses, everyMs)
      for (const { id } of uses) {
        const token = await tokens.readToken(id)
        const from = token?.revision ?? 0
        if (token) await tokens.changeToken({ from, after: { ...token, revision: from + 1 } }, [])
      }
    },
  }),
  'fails over a use of a token that nobody has': (tokens) => ({
    touchTokens: async (uses, everyMs) => {
      for (const { id } of uses) if (!(await tokens.readToken(id))) throw new Error(id)
      return tokens.touchTokens(uses, everyMs)
    },
  }),
  'stops at a use of a token that nobody has': (tokens) => ({
    touchTokens: async (uses, everyMs) => {
      for (const use of uses) {
        if (!(await tokens.readToken(use.id))) return
        await tokens.touchTokens([use], everyMs)
      }
    },
  }),
  'keeps a use by a look-alike of an id': (tokens) => ({
    touchTokens: (uses, everyMs) =>
      tokens.touchTokens(
        uses.map(({ id, at }) => ({ id: plain(id), at })),
        everyMs,
      ),
  }),
  'keeps no use of a token that is over': (tokens) => ({
    touchTokens: async (uses, everyMs) => {
      for (const use of uses) {
        const token = await tokens.readToken(use.id)
        if (token?.revokedAt === null) await tokens.touchTokens([use], everyMs)
      }
    },
  }),
}

const plain = (id: string) => id.normalize('NFC').trim()
const t2100 = Date.UTC(2100, 0, 1)
