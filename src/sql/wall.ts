import { LRUCache } from 'lru-cache'
import { isSqlSettings } from '../pipeline/sql-settings.ts'
import { reaches } from '../pipeline/walls.ts'
import { ownFunctions, type Reading } from './calls.ts'
import { checkOptions, type SqlGuardOptions, type ViewWall } from './options.ts'
import { onlyReads } from './verdict.ts'

/** What every guard here is made of. */
export interface Wall {
  readonly reading: Reading
  /** Stops here unless the judge gives null or the context may write. The judge is asked only where it matters. */
  check(judge: () => string | null): void
  /** `check` for a statement; anything but a text is refused. */
  checkText(text: unknown): void
  /** Stops here while the context is `view`, and never elsewhere. */
  checkView(reason: string): void
}

const verdictsKept = 2_000
/** Longer texts are lists of values that hardly come twice. */
const longestKept = 8_192

export function createWall(impersonation: ViewWall, options: SqlGuardOptions): Wall {
  checkOptions(impersonation, options)
  const { dialect, readFunctions = [], outside } = options
  const reading: Reading = { dialect, functions: ownFunctions(readFunctions) }
  /** Reads are kept as ''. */
  const verdicts = new LRUCache<string, string>({ max: verdictsKept })

  function judgeText(text: string): string | null {
    if (isSqlSettings(text)) return null
    const kept = verdicts.get(text)
    if (kept !== undefined) return kept || null
    const reason = onlyReads(text, reading)
    if (text.length <= longestKept) verdicts.set(text, reason ?? '')
    return reason
  }

  function check(judge: () => string | null): void {
    const context = impersonation.tryCurrent()
    if (context === null) return
    if (context && reaches(context.session.accessLevel, 'interactive')) return
    const reason = judge()
    if (reason === null) return
    if (context === undefined && outside) return
    impersonation.requireLevel('interactive', { statement: reason })
  }

  return {
    reading,
    check,
    checkText: (text) =>
      check(() => (typeof text === 'string' ? judgeText(text) : 'an unknown statement')),
    checkView(reason) {
      if (impersonation.tryCurrent()) check(() => reason)
    },
  }
}
