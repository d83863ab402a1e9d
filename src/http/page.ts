import { errorTable, type ImpersonationError } from '../errors.ts'

/** Whether a person is looking: a page is being loaded, not a call made by a script. */
export function wantsPage(accept: string | null | undefined): boolean {
  return /(?:^|,)\s*text\/html\s*(?:[;,]|$)/i.test(accept ?? '')
}

const lapses = new Set<string>([
  'impersonation_expired',
  'impersonation_revoked',
  'impersonation_ended',
  'grant_revoked',
  'impersonation_state_changed',
])

/** A refusal as a Response: a page for a person, the problem document for a program. */
export function renderRefusal(
  error: ImpersonationError,
  accept: string | null | undefined,
  base: string,
): Response {
  return (wantsPage(accept) ? refusalPage(error, base) : undefined) ?? error.getResponse()
}

/** The refusal for a person: what happened, and a way on. Undefined where the problem document serves. */
function refusalPage(error: ImpersonationError, base: string): Response | undefined {
  if (!lapses.has(error.code)) return undefined
  return page(
    error.status,
    error.code === 'impersonation_state_changed'
      ? 'Another impersonation is active'
      : 'The impersonation is over',
    `<p>${errorTable[error.code][1]}</p>
<form method="post" action="${attribute(`${base}/stop`)}"><button>End impersonation and continue as yourself</button></form>`,
    error.headers,
  )
}

export function stoppedPage(): Response {
  return page(200, 'You are yourself again', '<p><a href="/">Continue</a></p>')
}

// No script, no style and nothing that anybody typed: it works under every content security policy.
function page(
  status: number,
  title: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title></head>
<body><main><h1>${title}</h1>
${body}
</main></body></html>
`
  return new Response(html, {
    status,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Cache-Control': 'no-store, private',
      // So that the form below says where it comes from, whatever the host's policy is.
      'Referrer-Policy': 'same-origin',
      ...headers,
    },
  })
}

function attribute(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
}
