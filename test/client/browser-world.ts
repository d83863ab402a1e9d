import { existsSync } from 'node:fs'
import http from 'node:http'
import { delimiter, join } from 'node:path'
import { build } from 'esbuild'
import express from 'express'
import { type Browser, chromium, type Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { impersonate } from '../../adapters/express.ts'
import type { ActingClient, Client } from '../../src/client/index.ts'
import { createImpersonation, memoryStore } from '../../src/index.ts'
import { listen } from '../adapters/listen.ts'
import { root } from '../repo/files.ts'

interface User {
  readonly id: string
  readonly isSuperuser: boolean
}

/** What a page of the app holds. */
export interface Held {
  readonly client: Client
  readonly ended: string[]
  acting?: ActingClient
}

/** Chromium, or another browser of its family. */
const browserPath = [
  process.env.CHROMIUM ?? '',
  ...(process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) =>
      ['chromium', 'chromium-browser', 'google-chrome'].map((name) => join(folder, name)),
    ),
].find((path) => path !== '' && existsSync(path))

/** It would look up hosts of its maker's; nothing leaves this machine. */
const quiet = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-quic',
  '--disable-sync',
  '--no-first-run',
]

/** `describe` for tests that need a browser: without one they fail where nothing may be missing, as with the databases. */
export function describeInBrowser(name: string, define: () => void): void {
  if (browserPath) {
    describe(name, define)
  } else if (process.env.CI) {
    it(name, () => expect.fail('no chromium: install it, or say in CHROMIUM where it is'))
  } else {
    console.warn(`SKIPPED for want of a browser: ${name}`)
    describe.skip(name, define)
  }
}

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: browserPath ?? '', args: [...quiet, '--no-sandbox'] })
}

/** An app whose login is a cookie, with a page that loads the client as a bundler makes it. */
export async function serveApp() {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'src/client/index.ts')],
    write: false,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
  })
  const script = outputFiles[0]?.text ?? ''
  const users: User[] = [
    { id: 'root', isSuperuser: true },
    { id: 'alice', isSuperuser: false },
    { id: 'bob', isSuperuser: false },
  ]
  const impersonation = createImpersonation<User>({
    store: memoryStore(),
    findUser: (id) => users.find((user) => user.id === id),
    can: (user) => user.isSuperuser,
    impersonationTokens: {
      issuer: 'https://api.example.com',
      audience: 'https://api.example.com',
      secret: 'a secret of at least thirty-two characters',
    },
  })
  /** As whom something was written. */
  const written: string[] = []
  /** The headers of each request to `/whoami`. */
  const heard: http.IncomingHttpHeaders[] = []
  const slot = (request: express.Request) => request as { user?: User | undefined }

  const app = express()
  app.get('/client.js', (_, response) => void response.type('js').send(script))
  app.get('/login', (_, response) => {
    response.cookie('login', 'root', { httpOnly: true, sameSite: 'lax' }).redirect('/')
  })
  app.use((request, _, next) => {
    const [, id] = /(?:^|; )login=(\w+)/.exec(request.get('cookie') ?? '') ?? []
    slot(request).user = users.find((user) => user.id === id)
    next()
  })
  app.use(impersonate(impersonation))
  app.get('/', (_, response) => {
    response.send(`<!doctype html><title>Admin</title><script type="module">
      import { createClient } from '/client.js'
      const ended = []
      window.held = { ended, client: createClient({ baseUrl: '/', onEnded: ({ code }) => ended.push(code) }) }
    </script>`)
  })
  app.get('/whoami', (request, response) => {
    heard.push(request.headers)
    // An app that lets browsers keep it.
    response.set('Cache-Control', 'max-age=600').json(slot(request).user?.id ?? null)
  })
  app.post('/notes', (request, response) => {
    written.push(slot(request).user?.id ?? 'nobody')
    response.json('written')
  })
  app.get('/away', (request, response) => response.redirect(307, `${request.query.to}`))
  const { url, close } = await listen(http.createServer(app))
  return {
    url,
    written,
    heard,
    async close() {
      await impersonation.close()
      await close()
    },
  }
}

/** A server on another origin that lets every page in, and writes down what it hears. */
export async function serveElsewhere() {
  const heard: http.IncomingHttpHeaders[] = []
  const server = http.createServer((request, response) => {
    heard.push(request.headers)
    response
      .writeHead(200, {
        'Access-Control-Allow-Origin': '*',
        'Access-Control-Allow-Headers': '*, authorization',
        'Access-Control-Allow-Methods': '*',
      })
      .end('{}')
  })
  return { ...(await listen(server)), heard }
}

export async function openTab(page: Page, url: string): Promise<Page> {
  await page.goto(url)
  await page.waitForFunction('window.held')
  return page
}
