import { createHmac } from 'node:crypto'
import { Secret } from 'otpauth'
import { describe, expect, it, vi } from 'vitest'
import { createImpersonation, memoryStore } from '../../src/index.ts'
import { type TotpOptions, totp } from '../../src/totp/index.ts'

type User = { readonly id: string }
const user: User = { id: 'root' }

/** RFC 6238, appendix B: each hash with a seed of its own length. */
const seeds = {
  SHA1: '12345678901234567890',
  SHA256: '12345678901234567890123456789012',
  SHA512: '1234567890123456789012345678901234567890123456789012345678901234',
} as const
const base32 = (seed: string) => Secret.fromLatin1(seed).base32
const secret = base32(seeds.SHA1)

const check = (code: string, at: number, options: Partial<TotpOptions<User>> = {}) =>
  totp<User>({ secret: () => secret, now: () => at, ...options })(user, code)

describe('RFC 6238, appendix B', () => {
  it.each([
    [59, '94287082', '46119246', '90693936'],
    [1111111109, '07081804', '68084774', '25091201'],
    [1111111111, '14050471', '67062674', '99943326'],
    [1234567890, '89005924', '91819424', '93441116'],
    [2000000000, '69279037', '90698825', '38618901'],
    [20000000000, '65353130', '77737706', '47863826'],
  ])('at %i s', async (seconds, ...codes) => {
    for (const [index, algorithm] of (['SHA1', 'SHA256', 'SHA512'] as const).entries()) {
      const options = { algorithm, digits: 8, window: 0, secret: () => base32(seeds[algorithm]) }
      expect(await check(codes[index] as string, seconds * 1000, options)).toBe(true)
      for (const other of codes.filter((_, n) => n !== index))
        expect(await check(other, seconds * 1000, options)).toBe(false)
    }
  })
})

describe('the window', () => {
  const at = 1_893_456_000_000
  const period = 30_000

  it.each([
    [1, -period - 1, false],
    [1, -period, true],
    [1, 0, true],
    [1, 2 * period - 1, true],
    [1, 2 * period, false],
    [0, -1, false],
    [0, 0, true],
    [0, period - 1, true],
    [0, period, false],
    [2, 3 * period - 1, true],
    [2, 3 * period, false],
  ])('of %i, with a clock that is %i ms off: %s', async (window, off, right) => {
    const code = codeAt(at)
    expect(await check(code, at + off, { window })).toBe(right)
  })

  it('goes by the period', async () => {
    const code = codeAt(at)
    expect(await check(code, at, { periodMs: 60_000 })).toBe(false)
    expect(await check(code, (at / 30) * 60, { periodMs: 60_000, window: 0 })).toBe(true)
  })

  it('is one step by default, by the clock of the process', async () => {
    const { TOTP } = await import('otpauth')
    const code = new TOTP({ secret: Secret.fromBase32(secret) }).generate()
    expect(await totp<User>({ secret: () => secret })(user, code)).toBe(true)
  })

  /** HOTP (RFC 4226) by hand, so that nothing is compared with itself. */
  function codeAt(at: number): string {
    const counter = Buffer.alloc(8)
    counter.writeBigUInt64BE(BigInt(Math.floor(at / period)))
    const mac = createHmac('sha1', seeds.SHA1).update(counter).digest()
    const offset = (mac.at(-1) as number) & 15
    return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0')
  }
})

describe('a code', () => {
  it.each([
    '',
    '94287',
    '942870820',
    '9428708 ',
    ' 9428708',
    '+9428708',
    '9428708.',
    '９４２８７０８２',
    '٩٤٢٨٧٠٨٢',
    '0x942870',
    '9428708\n',
  ])('of other than the digits that are wanted is none: %j', async (code) => {
    const looked = vi.fn(() => secret)
    expect(await check(code, 59_000, { digits: 8, secret: looked })).toBe(false)
    expect(looked).not.toHaveBeenCalled()
  })

  it('that is no text is none', async () => {
    for (const code of [94287082, null, undefined, ['94287082'], {}])
      expect(await check(code as never, 59_000, { digits: 8 })).toBe(false)
  })
})

describe('the secret', () => {
  it.each([[null], [undefined]])('that is %s makes every code wrong', async (none) => {
    expect(await check('287082', 59_000, { secret: () => none })).toBe(false)
    expect(await check('287082', 59_000, { secret: async () => none })).toBe(false)
    expect(await check('287082', 59_000)).toBe(true)
  })

  it('is asked for of this user, and may come later, as people write it', async () => {
    const grouped = `${secret.toLowerCase().replace(/(.{4})/g, '$1 ')}==`
    const asked = vi.fn(async (_user: User) => grouped)
    expect(await check('287082', 59_000, { secret: asked })).toBe(true)
    expect(asked.mock.calls).toEqual([[user]])
  })

  it.each([
    ['not-base32-at-all-0189', 'other text'],
    ['JBSWY3DPEHPK3P1P', 'other text'],
    ['JBSWY3DPEHPK3PX', 'other text'],
    ['JBSWY3DPEHPK3PXPA', 'other text'],
    ['', 'other text'],
    ['JBSWY3DP=EHPK3PXP', 'other text'],
    [42, 'number'],
  ])('that is no base32 is told, and not quoted: %j', async (wrong, what) => {
    const error = await check('287082', 59_000, { secret: () => wrong as never }).catch((e) => e)
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain('option "secret" must give base32')
    expect(error.message).toContain(`it gave ${what}`)
    if (wrong) expect(error.message + error.stack).not.toContain(String(wrong))
  })

  it('that can’t be looked up rejects: break-glass takes that for a no', async () => {
    const secret = () => Promise.reject(new Error('down'))
    await expect(check('287082', 59_000, { secret })).rejects.toThrow('down')
  })
})

describe('options', () => {
  it.each<[string, object]>([
    ['"secret" must be a function', { secret: 'JBSWY3DPEHPK3PXP' }],
    ['"digits" must be 6, 7 or 8', { digits: 5 }],
    ['"digits" must be 6, 7 or 8', { digits: 9 }],
    ['"digits" must be a positive whole number', { digits: 6.5 }],
    ['"periodMs" must be a whole number of seconds', { periodMs: 30 }],
    ['"periodMs" must be a positive whole number', { periodMs: 0 }],
    ['"window" must be a whole number', { window: -1 }],
    ['"window" must be a whole number', { window: 11 }],
    ['"window" must be a whole number', { window: Number.NaN }],
    ['"algorithm" must be one of', { algorithm: 'MD5' }],
    ['"now" must be a function', { now: 5 }],
    ['"step" is unknown', { step: 30 }],
  ])('are checked at once: %s', (message, wrong) => {
    const make = () => totp<User>({ secret: () => secret, ...wrong } as never)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
    expect(make).not.toThrow('JBSWY3DPEHPK3PXP')
  })

  it('are wanted', () => {
    expect(() => totp(undefined as never)).toThrow('totp wants an object of options')
  })

  it('with a clock that gives no time make no code right', async () => {
    await expect(check('287082', Number.NaN)).rejects.toThrow('"now" must be')
  })
})

it('takes the engine’s users without being told their type', async () => {
  const people = [{ id: 'root', otp: secret, may: true }]
  const engine = createImpersonation({
    store: memoryStore(),
    findUser: (id) => people.find((person) => person.id === id),
    can: ({ may }) => may,
    breakGlass: { verifySecondFactor: totp({ secret: ({ otp }) => otp, now: () => 59_000 }) },
  })
  const [root] = people as [(typeof people)[0]]
  const ask = { targetUserId: 'nobody', reason: 'types', totp: '287082' }
  await expect(engine.breakGlass.open(engine.caller(root), ask)).rejects.toMatchObject({
    code: 'target_not_found',
  })
})
