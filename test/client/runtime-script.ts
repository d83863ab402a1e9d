import { createClient, problemOf } from '../../src/client/index.ts'

/** One story of the client, as a program of any runtime; it prints what it saw. Node, Bun and Deno run it as it stands. */
const at = (flag: string) =>
  globalThis.process.argv[globalThis.process.argv.indexOf(flag) + 1] ?? ''
const ended: string[] = []
const client = createClient({
  baseUrl: at('--app'),
  headers: () => ({ Authorization: 'Bearer root' }),
  onEnded: ({ code }) => ended.push(code),
})
const seen: unknown[] = []
const failed = (error: unknown) => (error instanceof Error ? error.name : 'no error')

const { sessionId } = await client.start({ targetUserId: 'alice', reason: 'ticket 7' })
seen.push(await (await client.fetch('/whoami')).json())
const write = await client.fetch('/app/notes', { method: 'POST', body: 'a note' })
seen.push((await problemOf(write))?.code)
await createClient({ baseUrl: at('--app'), headers: { Authorization: 'Bearer root' } }).stop()
seen.push((await client.fetch('/whoami')).status, ended, await client.stop())

{
  await using bob = await client.impersonate('bob', { reason: 'ticket 7' })
  seen.push(await (await bob.fetch(new Request(`${at('--app')}/whoami`))).json())
  seen.push(await bob.fetch('/app/away').catch(failed), await bob.fetch(at('--away')).catch(failed))
  await bob.stop()
  seen.push(await bob.fetch('/whoami').catch((error) => error.code))
  seen.push(JSON.stringify([bob, sessionId]).includes('eyJ'))
}
console.log(JSON.stringify(seen))
