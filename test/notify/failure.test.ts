import { describe, expect, it } from 'vitest'
import { ImpersonationError } from '../../src/index.ts'
import { failureOf, mostAttempts, pauseAfter } from '../../src/notify/failure.ts'
import { hour, second } from '../support/core-world.ts'

describe('pauses', () => {
  it('double from 5 s to an hour', () => {
    const pauses = Array.from({ length: 12 }, (_, n) => pauseAfter(n + 1, () => 0.5) / second)
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600])
  })

  it('are a quarter more or less', () => {
    expect(pauseAfter(1, () => 0)).toBe(3750)
    expect(pauseAfter(1, () => 1)).toBe(6250)
  })

  it('make about five hours of all attempts', () => {
    let whole = 0
    for (let attempt = 1; attempt < mostAttempts; attempt++) whole += pauseAfter(attempt, () => 0.5)
    expect(whole / hour).toBeCloseTo(5.42, 1)
  })
})

describe('what is kept of an error', () => {
  it.each<[string, unknown, string]>([
    ['its message alone', Object.assign(new Error('no'), { password: 'hunter2' }), 'no'],
    ['nothing of what is no error', 'secret', 'failed without an Error'],
    ['something, always', new Error(''), 'failed without a message'],
    ['one line', new Error('a\r\nb\0c'), 'a b c'],
    ['what is behind a 503 of ours', behind(new Error('users are down')), 'users are down'],
    ['no password of a URL', new Error('at smtp://me:pass@h:25 now'), 'at smtp://…@h:25 now'],
    ['no query of a URL', new Error('at https://h/x?token=abc now'), 'at https://h/x?… now'],
    ['no bearer', new Error('sent Bearer abc.def-ghi now'), 'sent Bearer … now'],
    ['no secret of a webhook', new Error('with whsec_YWJj+/= now'), 'with whsec_… now'],
  ])('%s', (_what, error, expected) => {
    expect(failureOf(error)).toBe(expected)
  })

  it('500 characters at most, whole ones', () => {
    const kept = failureOf(new Error('🦊'.repeat(9000)))
    expect([...kept]).toHaveLength(500)
    expect(kept.isWellFormed()).toBe(true)
  })
})

function behind(cause: Error) {
  return new ImpersonationError('impersonation_unavailable', { cause })
}
