import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { TokenSection } from '../../src/stores/tokens.ts'
import { minute, t0 } from '../../src/testing/store/fixtures.ts'
import {
  bothWays,
  hashOf,
  revocationOf,
  rotationOf,
  stepOf,
  tokenEvent,
  tokenOf,
} from '../../src/testing/store/token-fixtures.ts'
import type { ApiToken } from '../../src/types.ts'
import { type Address, type Connection, connect } from '../support/connect.ts'
import { type Crew, hire } from '../support/crew.ts'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'

const processes = 4
const rounds = Number(process.env.ROUNDS ?? 40)
vi.setConfig({ testTimeout: 30_000 + rounds * 1_000, hookTimeout: 60_000 })

for (const kind of kinds) {
  describeOn(kind, `${processes} processes on one API token, ${rounds} rounds`, () => {
    let address: Address
    let crew: Crew
    let own: Connection
    let tokens: TokenSection

    beforeAll(async () => {
      address = await makeDatabase(kind)
      crew = await hire(processes)
      await crew.all(() => ({ do: 'migrate', address }))
      await crew.all(() => ({ do: 'connect', address }))
      own = connect(address)
      tokens = own.store.tokens as TokenSection
    })
    afterAll(async () => {
      await crew.dismiss()
      await own.close()
      await dropDatabase(address)
    })

    const fresh = (changes: Partial<ApiToken> = {}) => {
      const id = crypto.randomUUID()
      return tokenOf({ id, userId: `owner of ${id}`, ...changes })
    }
    /** Every process gets an order of its own. */
    const each = <T>(make: (n: number) => T): T[] =>
      Array.from({ length: processes }, (_, n) => make(n))
    const everyRound = async (play: (token: ApiToken) => Promise<void>) => {
      for (let round = 0; round < rounds; round++) {
        const token = fresh()
        const event = tokenEvent(token, { id: crypto.randomUUID() })
        await tokens.createToken(token, hashOf(token.id), [event], null)
        await play(token)
      }
    }
    const ofOwner = ({ userId }: ApiToken) => tokens.listTokens({ userId }, { limit: 99 })
    const actionsOn = async ({ userId }: ApiToken) => {
      const events = await own.store.listEvents({ targetUserId: userId }, { limit: 99 })
      return events.map(({ action }) => action).sort()
    }
    const rotated = (token: ApiToken) => rotationOf(token, { id: crypto.randomUUID() })
    const issueOf = ({ next, replaces }: ReturnType<typeof rotationOf>) =>
      ({ do: 'issue', token: next, hash: hashOf(next.id), replaces }) as const

    it('several rotations: one new token', () =>
      everyRound(async (token) => {
        const asked = each(() => rotated(token))
        const answers = await crew.all<string>((n) => issueOf(asked[n] ?? rotated(token)))
        expect(answers.toSorted()).toEqual(
          [...each(() => 'changed_since').slice(1), 'created'].sort(),
        )
        const won = asked[answers.indexOf('created')]
        expect(await bothWays(tokens, token)).toEqual([won?.replaces.after, won?.replaces.after])
        for (const one of asked) {
          const kept = one === won ? one.next : null
          expect(await bothWays(tokens, one.next)).toEqual([kept, kept])
        }
        expect(await actionsOn(token)).toEqual(['token.issued', 'token.issued'])
      }))

    it('rotations and revocations: a new token, or none', () =>
      everyRound(async (token) => {
        const answers = await crew.all<string | boolean>((n) =>
          n % 2 === 0
            ? issueOf(rotated(token))
            : { do: 'changeToken', change: revocationOf(token, `boss ${n}`) },
        )
        const made = answers.filter((answer) => answer === 'created' || answer === true)
        expect(made).toHaveLength(1)
        const stored = await tokens.readToken(token.id)
        expect(stored?.revision).toBe(2)
        const isRotated = made[0] === 'created'
        expect(stored?.replacedBy !== null).toBe(isRotated)
        expect(stored?.revokedAt === null).toBe(isRotated)
        expect(await ofOwner(token)).toHaveLength(isRotated ? 2 : 1)
        expect(await actionsOn(token)).toEqual([
          ...['token.issued', isRotated ? 'token.issued' : 'token.revoked'],
        ])
      }))

    it('one hash, created by all: one token', () =>
      everyRound(async (token) => {
        const hash = hashOf(`shared by ${token.id}`)
        const asked = each(() => fresh({ userId: token.userId }))
        const answers = await crew.all<string>((n) => ({
          do: 'issue',
          token: asked[n] ?? fresh(),
          hash,
          replaces: null,
        }))
        expect(answers.filter((answer) => answer === 'created')).toHaveLength(1)
        expect(answers.filter((answer) => /^refused: .*hash/.test(answer))).toHaveLength(
          processes - 1,
        )
        const won = asked[answers.indexOf('created')]
        expect(await tokens.findToken(hash)).toEqual(won)
        expect((await ofOwner(token)).map(({ id }) => id).sort()).toEqual(
          [token.id, won?.id ?? ''].sort(),
        )
        expect(await actionsOn(token)).toEqual(['token.issued', 'token.issued'])
      }))

    it('rotations with one hash: the token of one is replaced, and those of the others stay', () =>
      everyRound(async (token) => {
        const hash = hashOf(`shared by ${token.id}`)
        const olds = each(() => fresh({ userId: token.userId }))
        for (const old of olds) await tokens.createToken(old, hashOf(old.id), [], null)
        const asked = olds.map(rotated)
        const answers = await crew.all<string>((n) => ({
          ...issueOf(asked[n] ?? rotated(token)),
          hash,
        }))
        const won = answers.indexOf('created')
        expect(answers.filter((answer) => answer.startsWith('refused: '))).toHaveLength(
          processes - 1,
        )
        for (const [n, old] of olds.entries()) {
          const after = n === won ? asked[n]?.replaces.after : old
          expect(await bothWays(tokens, old)).toEqual([after, after])
        }
        expect(await tokens.findToken(hash)).toEqual(asked[won]?.next)
      }))

    it('uses in every order, and changes: all happen, and the latest use stays', () =>
      everyRound(async (first) => {
        const stored = [first, ...each(() => fresh()), ...each(() => fresh())]
        for (const token of stored.slice(1)) {
          await tokens.createToken(token, hashOf(token.id), [], null)
        }
        const answers = await crew.all<boolean | null>((n) => {
          if (n === 0) return { do: 'changeToken', change: stepOf(first, { name: 'another' }) }
          const uses = stored.map(({ id }) => ({ id, at: t0 + n }))
          return { do: 'touch', uses: n % 2 ? uses : uses.toReversed(), everyMs: 1 }
        })
        expect(answers[0]).toBe(true)
        for (const { id } of stored) {
          const { lastUsedAt, revision } = (await tokens.readToken(id)) as ApiToken
          expect({ lastUsedAt, revision }).toEqual({
            lastUsedAt: t0 + processes - 1,
            revision: id === first.id ? 2 : 1,
          })
        }
      }))

    it('uses of one minute: one of them is kept', () =>
      everyRound(async ({ id }) => {
        const ats = each((n) => t0 + n)
        await crew.all((n) => ({ do: 'touch', uses: [{ id, at: ats[n] ?? t0 }], everyMs: minute }))
        expect(ats).toContain((await tokens.readToken(id))?.lastUsedAt)
      }))
  })
}
