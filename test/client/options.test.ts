import { afterEach, expect, it, vi } from 'vitest'
import { createClient } from '../../src/client/index.ts'

const baseUrl = 'https://app.example.com/shop'
afterEach(() => vi.unstubAllGlobals())

it.each<[string, Record<string, unknown>]>([
  ['baseUrl', { baseUrl: undefined }],
  ['baseUrl', { baseUrl: '/' }],
  ['baseUrl', { baseUrl: '' }],
  ['baseUrl', { baseUrl: 'ftp://app.example.com' }],
  ['baseUrl', { baseUrl: 'file:///' }],
  ['baseUrl', { baseUrl: 'https://root:secret@app.example.com' }],
  ['baseUrl', { baseUrl: 'https://app.example.com/?a=1' }],
  ['baseUrl', { baseUrl: 'https://app.example.com/#top' }],
  ['basePath', { basePath: 'impersonation' }],
  ['basePath', { basePath: '/impersonation?' }],
  ['basePath', { basePath: 7 }],
  ['fetch', { fetch: 'fetch' }],
  ['credentials', { credentials: 'always' }],
  ['headers', { headers: 'Bearer root' }],
  ['headers', { headers: null }],
  ['onEnded', { onEnded: true }],
  ['pin', { pin: '' }],
  ['pin', { pin: 'none\n' }],
  ['now', { now: 0 }],
  ['baseURL', { baseURL: baseUrl }],
])('names the option %s that is wrong: %j', (option, wrong) => {
  const make = () => createClient({ baseUrl, ...wrong })
  expect(make).toThrow(TypeError)
  expect(make).toThrow(`option "${option}" must be `)
})

/** The URLs that a client asks for. */
async function asked(options: object, input: string): Promise<string[]> {
  const urls: string[] = []
  const client = createClient({
    baseUrl,
    fetch: async (url) => {
      urls.push(String(url))
      return new Response('{"is_impersonating":false}')
    },
    ...options,
  })
  await client.status()
  await client.fetch(input)
  return urls
}

it('finds the routes below the app, and paths as a page of the app would', async () => {
  const routes = 'https://app.example.com/shop/impersonation/status'
  expect(await asked({}, 'notes')).toEqual([routes, 'https://app.example.com/shop/notes'])
  expect(await asked({ baseUrl: new URL(`${baseUrl}/`) }, '/notes')).toEqual([
    routes,
    'https://app.example.com/notes',
  ])
  expect(await asked({ basePath: '/admin/act/' }, '.')).toEqual([
    'https://app.example.com/shop/admin/act/status',
    'https://app.example.com/shop/',
  ])
})

it('takes a path for the app where there is a page', async () => {
  vi.stubGlobal('location', { href: 'https://app.example.com/admin/users?id=7' })
  expect(await asked({ baseUrl: '/' }, '/notes')).toEqual([
    'https://app.example.com/impersonation/status',
    'https://app.example.com/notes',
  ])
})

it('sends cookies as it is told, unless a request says otherwise', async () => {
  const seen: unknown[] = []
  const make = (options: object) =>
    createClient({
      baseUrl,
      fetch: async (_, init) => {
        seen.push(init?.credentials)
        return new Response()
      },
      ...options,
    })
  await make({}).fetch('/')
  await make({ credentials: 'include' }).fetch('/')
  await make({ credentials: 'include' }).fetch('/', { credentials: 'omit' })
  expect(seen).toEqual([undefined, 'include', 'omit'])
})

it('calls the fetch of the page as a function of nobody', async () => {
  let caller: unknown = 'not called'
  vi.stubGlobal('fetch', async function (this: unknown) {
    caller = this
    return new Response('{"is_impersonating":false}')
  })
  await createClient({ baseUrl }).status()
  expect(caller).toBeUndefined()
})
