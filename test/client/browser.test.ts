import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import {
  describeInBrowser,
  type Held,
  openBrowser,
  openTab,
  serveApp,
  serveElsewhere,
} from './browser-world.ts'

declare global {
  interface Window {
    held: Held
  }
}

describeInBrowser('a client in a browser', () => {
  let browser: Browser
  let context: BrowserContext
  let app: Awaited<ReturnType<typeof serveApp>>

  beforeAll(async () => {
    browser = await openBrowser()
  })
  afterAll(() => browser?.close())
  beforeEach(async () => {
    app = await serveApp()
    context = await browser.newContext()
    await (await context.newPage()).goto(`${app.url}/login`)
  })
  afterEach(async () => {
    await context.close()
    await app.close()
  })

  const tab = async () => openTab(await context.newPage(), app.url)
  const start = (page: Page) =>
    page.evaluate(async () => {
      const begun = await window.held.client.start({
        targetUserId: 'alice',
        reason: 'ticket 7',
        accessLevel: 'full',
      })
      return begun.sessionId
    })
  const submit = (page: Page) =>
    page.evaluate(async () => {
      const answer = await window.held.client.fetch('/notes', { method: 'POST' })
      return [answer.status, (await answer.json()).code ?? 'ok']
    })
  const whoami = (page: Page) =>
    page.evaluate(async () => (await window.held.client.fetch('/whoami')).json())

  it('refuses what a tab submits after another has stopped: nothing is written as root', async () => {
    const [one, two] = [await tab(), await tab()]
    await start(one)
    expect(await submit(one)).toEqual([200, 'ok'])
    await two.evaluate(() => window.held.client.stop())
    for (let again = 0; again < 3; again++)
      expect(await submit(one)).toEqual([401, 'impersonation_ended'])
    expect(await one.evaluate(() => window.held.ended)).toEqual(['impersonation_ended'])
    expect(app.written).toEqual(['alice'])
    // Rendered anew, the page is root's, and says so.
    await openTab(one, app.url)
    await one.evaluate(() => window.held.client.status())
    expect(await submit(one)).toEqual([200, 'ok'])
    expect(app.written).toEqual(['alice', 'root'])
  })

  it('refuses what a tab of root’s submits after another has started', async () => {
    const [one, two] = [await tab(), await tab()]
    await one.evaluate(() => window.held.client.status())
    await start(two)
    expect(await submit(one)).toEqual([409, 'impersonation_state_changed'])
    expect(app.written).toEqual([])
  })

  it('shows nobody a copy that was kept under another identity', async () => {
    const page = await tab()
    // Asked without the client, and kept by the browser for ten minutes.
    expect(await page.evaluate(async () => (await fetch('/whoami')).json())).toBe('root')
    expect(await page.evaluate(async () => (await fetch('/whoami')).json())).toBe('root')
    expect(app.heard).toHaveLength(1)
    expect(await page.evaluate(asBob)).toBe('bob')
    await start(page)
    expect(await whoami(page)).toBe('alice')
  })

  it('acts by a token without any cookie of the caller’s', async () => {
    const page = await tab()
    expect(await page.evaluate(asBob)).toBe('bob')
    const { cookie, authorization, ...others } = app.heard.at(-1) ?? {}
    expect([cookie, authorization?.slice(0, 7)]).toEqual([undefined, 'Bearer '])
    expect(others['x-impersonation-session']).toMatch(/./)
    expect(await whoami(page)).toBe('root')
    await page.evaluate(async () => {
      await window.held.acting?.stop()
    })
    const after = page.evaluate(async () => {
      await window.held.acting?.fetch('/whoami')
    })
    await expect(after).rejects.toThrow('impersonation_ended')
  })

  it('sends nothing to another origin, by URL or by redirect', async () => {
    const elsewhere = await serveElsewhere()
    try {
      const page = await tab()
      await start(page)
      await page.evaluate(asBob)
      const outcomes = await page.evaluate(async (url) => {
        const { client, acting } = window.held
        const inputs = [url, url.replace('http:', ''), `/away?to=${encodeURIComponent(url)}`]
        const calls = inputs.flatMap((input) => [client.fetch(input), acting?.fetch(input)])
        const settled = await Promise.allSettled(calls)
        return settled.map((one) => (one.status === 'rejected' ? one.reason.name : 'went out'))
      }, elsewhere.url)
      expect(outcomes).toEqual(Array(6).fill('TypeError'))
      expect(elsewhere.heard).toEqual([])
    } finally {
      await elsewhere.close()
    }
  })

  async function asBob() {
    const { held } = window
    held.acting = await held.client.impersonate('bob', { reason: 'ticket 7' })
    return (await held.acting.fetch('/whoami')).json()
  }
})
