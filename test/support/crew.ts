import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { DeliveryChange, DeliveryLease } from '../../src/stores/outbox.ts'
import type { RequestChange, UsedCode } from '../../src/stores/requests.ts'
import type { GrantChange, SessionEnding, SessionExtension } from '../../src/stores/store.ts'
import type { TokenChange, TokenUse } from '../../src/stores/tokens.ts'
import type { AccessRequest, ApiToken, Delivery, Session } from '../../src/types.ts'
import type { Address } from './connect.ts'

/** What a worker can be told to do. */
export type Order =
  | { readonly do: 'connect' | 'migrate'; readonly address: Address }
  | {
      readonly do: 'claim'
      readonly session: Session
      readonly now: number
      readonly onConflict: 'replace' | 'reject'
      readonly grant?: GrantChange
      readonly request?: RequestChange
    }
  | { readonly do: 'end'; readonly id: string; readonly ending: SessionEnding }
  | { readonly do: 'extend'; readonly id: string; readonly change: SessionExtension }
  | {
      readonly do: 'changeGrant'
      readonly change: GrantChange
      readonly ending: SessionEnding | null
    }
  | { readonly do: 'revoke'; readonly grantId: string; readonly ending: SessionEnding }
  | { readonly do: 'ask'; readonly request: AccessRequest; readonly code: UsedCode | null }
  | { readonly do: 'changeRequest'; readonly change: RequestChange; readonly code: UsedCode | null }
  | {
      readonly do: 'issue'
      readonly token: ApiToken
      readonly hash: string
      readonly replaces: TokenChange | null
    }
  | { readonly do: 'changeToken'; readonly change: TokenChange }
  | { readonly do: 'touch'; readonly uses: readonly TokenUse[]; readonly everyMs: number }
  /** As often as there is something to be handed out. */
  | { readonly do: 'lease'; readonly lease: DeliveryLease }
  | { readonly do: 'settle'; readonly changes: readonly DeliveryChange[]; readonly more: Delivery }

export interface Crew {
  /** Gives every worker its order at once, and all their answers in the same order. */
  all<Answer>(order: (worker: number) => Order): Promise<Answer[]>
  dismiss(): Promise<void>
}

/** Starts a file of this directory as a process; Node strips its types by itself. */
export function startWorker(file: string, ...args: string[]): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

/** Real processes, each with its own event loop and its own connections. */
export async function hire(size: number): Promise<Crew> {
  const workers = Array.from({ length: size }, () => startWorker('store-worker.ts'))
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  return {
    all: (order) =>
      Promise.all(
        workers.map(async (worker, n) => {
          const reply = once(worker, 'message')
          worker.send(order(n))
          const [{ answer, error }] = await reply
          if (error) throw new Error(`worker ${n}: ${error}`)
          return answer
        }),
      ),
    async dismiss() {
      const gone = workers.map((worker) => once(worker, 'exit'))
      for (const worker of workers) worker.disconnect()
      await Promise.all(gone)
    },
  }
}
