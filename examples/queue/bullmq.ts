import { type ConnectionOptions, Queue, Worker } from 'bullmq'
import type { ImpersonationEngine, Snapshot } from 'onbehalf'

/** What the app queues: the work, and under whose impersonation it was asked for. */
export interface Report {
  readonly month: string
  readonly snapshot: Snapshot
}

export const reportsIn = (connection: ConnectionOptions, prefix = 'bull') =>
  new Queue<Report, string>('reports', { connection, prefix })

/** In a handler: the snapshot goes along as plain data. */
export function queueReport<User extends object>(
  reports: Queue<Report, string>,
  impersonation: ImpersonationEngine<User>,
  month: string,
) {
  return reports.add('report', { month, snapshot: impersonation.snapshot() })
}

/**
 * In the worker, on any machine with the same store: the session is judged anew, and a job whose
 * session is over fails without having begun. It runs at `view`; a job that has to write asks for
 * more: `runWith(snapshot, work, { accessLevel: 'full' })`, and gets no more than the session has.
 */
export const reportWorker = <User extends object>(
  impersonation: ImpersonationEngine<User>,
  work: (month: string) => Promise<string>,
  connection: ConnectionOptions,
  prefix = 'bull',
) =>
  new Worker<Report, string>(
    'reports',
    ({ data }) => impersonation.runWith(data.snapshot, () => work(data.month)),
    { connection, prefix },
  )
