import { random } from '../support/core-world.ts'

/** A request as it goes over the wire; every character is one byte. */
export interface Line {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly body: string
  /** Node's parser may refuse it and close the connection, so it travels alone. */
  readonly alone: boolean
}

type Dice = ReturnType<typeof random>
type Change = (path: string, dice: Dice) => string

/** What the test apps have routes for, in plain spelling: method, path, and how often it is chosen. */
const targets: readonly (readonly [string, string])[] = [
  ['POST', '/account/password'],
  ['POST', '/account/password'],
  ['POST', '/account/password'],
  ['DELETE', '/users/1'],
  ['DELETE', '/users/:'],
  ['DELETE', '/users/:'],
  ['POST', '/settings/password'],
  ['POST', '/settings/password'],
  ['POST', '/settings/password'],
  ['POST', '/settings/password'],
  ['PUT', '/billing/cards/4'],
  ['POST', '/billing'],
  ['DELETE', '/billing/:'],
  ['POST', '/teams/a/keys/b/rotate'],
  ['POST', '/teams/:/keys/:/rotate'],
  ['PUT', '/stra%C3%9Fe'],
  ['PATCH', '/desk/kiosk'],
  ['POST', '/tokens'],
  ['GET', '/mfa/codes'],
  ['POST', '/'],
  ['POST', '/notes'],
  ['GET', '/me'],
]

/** What stands where a parameter is. */
const values = [
  '1',
  'a%2Fb',
  'a%2fb%2Fc',
  'a%5Cb',
  'a\\b',
  'a%252Fb',
  'a%EF%BC%8Fb',
  '%E2%84%80',
  '%EF%BC%8E%EF%BC%8E',
  'a%EF%BC%9Bb',
  'a%EF%BC%85b',
  'a%E2%80%A5b',
  '..',
  '.',
  '%2e%2e',
  '%2E',
  '..%2f..',
  '..%5c',
  '%252e%252e',
  '...',
  '',
  '%00',
  'a%00b',
  '%0a',
  'a%0d%0ab',
  '%09',
  'a;b=c',
  'a%3Bb',
  ';',
  'a%3Fb',
  'a%23b',
  '%',
  '%f',
  '%zz',
  '%ff',
  '%2f%ff',
  '%c0%af',
  '%u002f',
  '%25',
  '%2525',
  ':id',
  '*',
  '__proto__',
  'a+b',
  'a%2Bb',
  'a%20b',
  'x@y',
  'http://h',
  'x'.repeat(99),
  'x'.repeat(101),
  '%F0%9D%95%92',
  '%C4%B0%C4%B0',
  '(a)',
  '[a]',
  '{a}',
  'a|b',
  'a^b',
  '"',
  "'",
  '~',
  '$&',
]

const hex = (char: string, dice: Dice) => {
  const code = char.charCodeAt(0).toString(16).padStart(2, '0')
  return `%${dice.below(2) ? code : code.toUpperCase()}`
}
const some = (path: string, dice: Dice, what: RegExp, change: (char: string) => string) =>
  path.replace(what, (char) => (dice.below(3) === 0 ? change(char) : char))
/** Puts something in front of one of the slashes, or at the end. */
const between = (path: string, dice: Dice, insert: string) => {
  const places = [...path.matchAll(/\//g)].map(({ index }) => index)
  const at = dice.pick([...places, path.length])
  return path.slice(0, at) + insert + path.slice(at)
}
const inside = (path: string, dice: Dice, insert: string) => {
  const at = dice.below(path.length + 1)
  return path.slice(0, at) + insert + path.slice(at)
}

/** Letters that fold, normalise or compose to others, in UTF-8 as browsers send them. */
const lookalikes: Readonly<Record<string, readonly string[]>> = {
  k: ['%E2%84%AA', '%EF%BD%8B', '%F0%9D%90%A4'],
  s: ['%C5%BF', '%EF%BD%93', '%E2%93%A2'],
  i: ['%C4%B1', '%C4%B0', 'i%CC%87', '%EF%BD%89'],
  a: ['%EF%BD%81', 'a%CC%88', '%C2%AA', '%D0%B0'],
  e: ['e%CC%81', '%EF%BD%85', '%E2%84%AF'],
  o: ['%C2%BA', '%EF%BD%8F', '%CE%BF'],
  w: ['%EF%BD%97', '%CA%B7'],
}
const separators = ['%EF%BC%8F', '%E2%88%95', '%E2%81%84', '%EF%BC%8E', '%EF%BC%9B', '%EF%BC%BC']

const structure: readonly Change[] = [
  (path) => `${path}/`,
  (path) => `${path}//`,
  (path, dice) => between(path, dice, '/'),
  (path, dice) => between(path, dice, dice.pick(['/.', '/./', '/%2e', '/.%2f'])),
  (path, dice) => between(path, dice, dice.pick(['/x/..', '/x/%2e%2e', '/x/.%2E', '/x/y/../..'])),
  (path, dice) => between(path, dice, dice.pick(['/x/..;', '/x/..;a=b', '/x/..%3b', '/..;/'])),
  (path, dice) => dice.pick(['/..', '/../..', '/.', '/%2e%2e', '/x%2f..']) + path,
  (path, dice) => path + dice.pick(['/.', '/..', '/x/..', '/%2e', '/./', '/x/../', '/;']),
  (path, dice) => some(path, dice, /\//g, () => dice.pick(['\\', '%2f', '%2F', '%5c', '%252f'])),
  (path, dice) => between(path, dice, dice.pick([';', ';a=b', ';a/b', ';=', ';%2f', '%3b', ';;'])),
  (path, dice) => path + dice.pick(['.', '..', '...', '%20', '%00', '%0a', '%0d%0a', '%09', '%7f']),
  (path, dice) => path + dice.pick(['.json', '.html', '~', '+', '%2b', ',', '!', '$', "'", '*']),
  (path, dice) => between(path, dice, dice.pick(separators)),
  (path, dice) => path + dice.pick(['x', 'foo', '-x', '_', ':', '=', '&a=b', '@', '|', '(', '[']),
]
const characters: readonly Change[] = [
  (path, dice) => some(path, dice, /[a-z0-9.;]/gi, (char) => hex(char, dice)),
  (path, dice) => path.replace(/[a-z]/i, (char) => hex(char, dice)),
  (path, dice) => path.replace(/[a-z](?=[^a-z]*$)/i, (char) => hex(char, dice)),
  (path, dice) => path.replace(/[a-z]/gi, (char) => hex(char, dice)),
  (path, dice) => some(path, dice, /[!-$&-~]/g, (char) => hex(char, dice)),
  (path, dice) => some(path, dice, /[a-z]/g, (char) => hex(char, dice).replace('%', '%25')),
  (path) => path.replaceAll('%', '%25'),
  (path, dice) => some(path, dice, /%[\da-f]{2}/gi, (code) => code.toUpperCase()),
  (path, dice) => some(path, dice, /[a-z]/g, (char) => char.toUpperCase()),
  (path) => path.replace(/[a-z]/g, (char) => char.toUpperCase()),
  (path, dice) => some(path, dice, /[kiasewo]/g, (char) => dice.pick(lookalikes[char] ?? [char])),
  (path) => path.replace(/k/g, '%E2%84%AA'),
  (path, dice) => path.replace('%C3%9F', dice.pick(['%E1%BA%9E', 'ss', 'SS', '%c3%9f', '\xdf'])),
  (path, dice) =>
    inside(path, dice, dice.pick(['%', '%0', '%zz', '%ff', '%c0%af', '%e0%80%af', '%u0061', '%%'])),
  (path, dice) =>
    inside(path, dice, dice.pick(['%00', '%09', '%0a', '%ad', '%C2%AD', '%EF%BB%BF'])),
  (path, dice) =>
    inside(path, dice, dice.pick(['\t', '\x01', '\x7f', '\xa0', '\xe9', '\xff', '\f'])),
]
const endings = [
  '?',
  '?a=b',
  '?q=/x/../y',
  '??',
  '?%',
  '?#',
  '#',
  '#f',
  '#?x',
  '#/x/..',
  '%3fx',
  '%23x',
  '%3Fa=b#',
  '?_method',
  ';?x',
]
const fronts = [
  'http://h',
  'HTTP://evil.example:80',
  'https://u:p@h',
  'http://h;y',
  'http:///x',
  'http://',
  'http:////x',
  'javascript://h',
  'mailto://u@h',
  'x://h',
  'http://[::1]',
  'http://[x',
  'http://h%2f',
  'http://h?x',
  'http://@h',
  '//h',
  '//u@h',
  '///u@h',
  '/\\u@h',
  '\\\\u@h',
  '//u:p@h:80',
  '//u@h//',
]
const frame: readonly Change[] = [
  (path, dice) => path + dice.pick(endings),
  (path, dice) => dice.pick(fronts) + path,
  (path, dice) => dice.pick(fronts) + path + dice.pick(endings),
  (path, dice) =>
    between(path, dice, dice.pick(['/./', '/x/..', '//', ';a']).repeat(dice.pick([2, 3, 9, 700]))),
  (path, dice) => dice.pick(['*', '/*', '//', '/']) + (dice.below(2) ? path.slice(1) : ''),
]

const overrideHeaders = [
  'X-HTTP-Method-Override',
  'X-HTTP-Method',
  'X-Method-Override',
  'x-http-method-override',
  'X-http-METHOD-override',
  'X-Method',
]
const overrideNames = ['_method', '_METHOD', '[_method]', '_method[]', '[_method][]', '_method[0]']
const strangeMethods = ['post', 'Delete', 'FOO', 'QUERY', 'TRACE', 'HEAD', 'OPTIONS', 'PROPFIND']
const usualMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

/** The names and values of an override, as some layer finds it. */
function overridden(
  wanted: string,
  dice: Dice,
): { headers: string[]; query: string; body: string } {
  const value = dice.pick([wanted, wanted, wanted, wanted.toLowerCase(), 'GET', ` ${wanted}`])
  const name = dice.pick(overrideNames)
  const spelled = dice.pick([
    name,
    name,
    encodeURIComponent(name),
    name.replace('_', '%5f'),
    name.replace('m', '%6D'),
    `a=1&${name}`,
    `a=1;${name}`,
    `=&${name}`,
    `%&${name}`,
  ])
  const text = `${spelled}=${encodeURIComponent(value)}`
  switch (dice.below(5)) {
    case 0:
      return { headers: [`${dice.pick(overrideHeaders)}: ${value}`], query: '', body: '' }
    case 1: {
      const twice = [dice.pick(overrideHeaders), dice.pick(overrideHeaders)]
      return { headers: twice.map((each) => `${each}: ${value}`), query: '', body: '' }
    }
    case 2:
      return { headers: [], query: text, body: '' }
    case 3: {
      const type = dice.pick([
        'application/x-www-form-urlencoded',
        'Application/X-WWW-Form-Urlencoded; charset=utf-8',
        ' application/x-www-form-urlencoded;',
      ])
      return { headers: [`Content-Type: ${type}`], query: '', body: `${text}&x=1` }
    }
    default: {
      if (dice.below(2)) {
        const type = dice.pick(['application/json', 'application/json; charset=utf-8', 'text/json'])
        const body = JSON.stringify({ [dice.pick(['_method', '_method', '_METHOD'])]: value, x: 1 })
        return { headers: [`Content-Type: ${type}`], query: '', body }
      }
      const body = `--b\r\nContent-Disposition: form-data; name="_method"\r\n\r\n${value}\r\n--b--\r\n`
      return { headers: ['Content-Type: multipart/form-data; boundary=b'], query: '', body }
    }
  }
}

/** The n-th request of a seed: the same one each time, whatever came before. */
export function lineOf(seed: number, n: number, base: string): Line {
  const dice = random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(n + 1, 0x85ebca6b))
  dice.below(2)
  const [own, plain] = dice.pick(targets)
  let path = base + plain.replace(/:/g, () => dice.pick(values))
  for (let left = dice.pick([0, 0, 1, 1, 1, 2, 3]); left > 0; left--)
    path = dice.pick(structure)(path, dice)
  for (let left = dice.pick([0, 1, 1, 2]); left > 0; left--)
    path = dice.pick(characters)(path, dice)
  if (dice.below(3) === 0) path = dice.pick(frame)(path, dice)

  let method = own
  const headers: string[] = []
  let body = ''
  const kind = dice.below(8)
  if (kind < 2) {
    const over = overridden(own, dice)
    method = dice.pick([...usualMethods, 'POST', 'POST', 'GET'])
    headers.push(...over.headers)
    body = over.body
    if (over.query) path += (path.includes('?') ? '&' : '?') + over.query
  } else if (kind === 2) method = dice.pick([...strangeMethods, ...usualMethods])
  else if (kind < 5 && method !== 'GET') {
    headers.push('Content-Type: application/json')
    body = '{"password":"x"}'
  }
  if (dice.below(40) === 0) headers.push('Upgrade: websocket', 'Connection: keep-alive, Upgrade')
  if (dice.below(40) === 0) headers.push('Host: other.example')
  if (dice.below(60) === 0) headers.push('Expect: nothing')
  const target = path.slice(0, 6000)
  return { method, target, headers, body, alone: isAlone(method, target, headers) }
}

function isAlone(method: string, target: string, headers: readonly string[]): boolean {
  return (
    !/^[A-Z]+$/.test(method) ||
    method === 'FOO' ||
    !/^(?:\/|[a-z]+:\/\/)[!-~]*$/i.test(target) ||
    headers.some((each) => /^(?:upgrade|expect|host)/i.test(each))
  )
}
