import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { check, type Step, story } from './story.ts'

/*
 * Starts the Express example on a fresh database, tells the story by real requests, each as a line
 * that can be pasted into a shell, and stays up.
 *
 *   npm run demo             then try the lines yourself
 *   npm run demo -- --once   ends after the story: 0 when every answer was as it should be, else 1
 */

const folder = await mkdtemp(join(tmpdir(), 'onbehalf-demo-'))
process.env.IMPERSONATION_DB = join(folder, 'impersonation.db')
// Only now: the example opens its database when it is imported.
const { listen } = await import('./server.ts')
const { url, close } = await listen(Number(process.env.PORT ?? 3000)).catch((error) => {
  if (error.code !== 'EADDRINUSE') throw error
  console.log(`# Port ${error.port} is taken; any other will do.`)
  return listen(0)
})

const comment = (text: string) => console.log(styleText('dim', `\n# ${text}`))
const command = (line: string) => console.log(styleText('bold', line))
const json = "-H 'Content-Type: application/json'"
const told = ['X-Impersonating', 'X-Impersonated-User-Id', 'X-Impersonation-Session']

try {
  comment(
    'The lines that start with a word can be pasted into a shell; what is indented came back.',
  )
  command(`URL=${url}`)
  comment('Two people log in, the way they always do.')
  const tokens = {
    ADMIN: await login('ADMIN', 'root@staff.example'),
    ALICE: await login('ALICE', 'alice@acme.example'),
  }
  for (const step of story) await tell(step, tokens[step.as])
  if (process.argv.includes('--once')) await end()
  else stayUp()
} catch (error) {
  console.error(styleText('red', `\n${error instanceof Error ? error.message : error}`))
  process.exitCode = 1
  await end()
}

async function login(name: Step['as'], email: string): Promise<string> {
  const body = JSON.stringify({ email })
  command(`${name}=$(curl -s $URL/login ${json} -d '${body}' | cut -d '"' -f 4)`)
  const headers = { 'Content-Type': 'application/json' }
  const response = await fetch(`${url}/login`, { method: 'POST', headers, body })
  if (!response.ok) throw new Error(`The login of ${email} was refused with ${response.status}.`)
  return (await response.json()).token
}

async function tell(step: Step, token: string): Promise<void> {
  const [method = '', path] = step.request.split(' ')
  const body = step.body ? JSON.stringify(step.body) : null
  comment(step.why)
  command(
    [
      `curl -si "$URL${path}" -H "Authorization: Bearer $${step.as}"`,
      ...(body ? [json, `-d '${body}'`] : method === 'GET' ? [] : [`-X ${method}`]),
    ].join(' '),
  )
  const response = await fetch(`${url}${path}`, {
    method,
    body,
    headers: {
      Authorization: `Bearer ${token}`,
      ...(body && { 'Content-Type': 'application/json' }),
    },
  })
  const answer = await response.json().catch(() => null)
  const colour = response.ok ? 'green' : 'yellow'
  const status = styleText(colour, `${response.status} ${response.statusText}`)
  const headers = told.flatMap((name) => {
    const value = response.headers.get(name)
    return value === null ? [] : [styleText('cyan', `${name}: ${value}`)]
  })
  const text = [status, ...headers, JSON.stringify(answer, null, 2)].join('\n')
  console.log(text.replaceAll(/^/gm, '  '))
  check(step, response.status, response.headers, answer)
}

function stayUp(): void {
  comment(`Still listening on ${url}. Paste the lines above, in any order, or try this:`)
  for (const hint of [
    'a start without a reason, with "duration_minutes":600, or of "dave", who has left',
    '"target_user_id":"bob" with "target_org_id":"globex": Bob in his other organisation',
    'POST /Account//%70assword/ while impersonating: every spelling of a guarded path is guarded',
    `${url}/impersonation/openapi.json: all routes`,
    'Ctrl-C ends it and removes its database',
  ]) {
    console.log(styleText('dim', `#   ${hint}`))
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end())
}

async function end(): Promise<void> {
  await close()
  await rm(folder, { recursive: true, force: true })
}
