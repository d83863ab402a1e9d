import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { audience, issuer, noon, secret } from './fixtures.ts'

it('loads jose at the first token, and then only the parts it needs', () => {
  const options = { issuer, audience, secret }
  const script = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({ load: (url, context, next) => {
      if (url.includes('/jose/')) loaded.push(url.slice(url.indexOf('/webapi/') + 8))
      return next(url, context)
    } })
    const { checkImpersonationTokens } = await import('./src/tokens/option.ts')
    const { createTokens } = await import('./src/tokens/tokens.ts')
    const { isImpersonationToken } = await import('./src/tokens/recognise.ts')
    await import('./src/index.ts')
    const settings = checkImpersonationTokens(${JSON.stringify(options)})
    const tokens = createTokens(settings, () => ${noon})
    isImpersonationToken('x')
    await tokens.verify('x').catch(() => {})
    const before = [...loaded]
    await tokens.ready()
    console.log(JSON.stringify({ before, loaded }))
  `
  const args = ['--experimental-strip-types', '--no-warnings', '--input-type=module', '-e', script]
  const cwd = new URL('../..', import.meta.url)
  const output = execFileSync(process.execPath, args, { cwd, encoding: 'utf8' })
  const { before, loaded } = JSON.parse(output)
  expect(before).toEqual([])
  expect(loaded).toContain('jws/compact/verify.js')
  expect(loaded.filter((url: string) => /index|jwe\/|jwks|encrypt/.test(url))).toEqual([])
})
