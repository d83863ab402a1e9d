import { PrismaPg } from '@prisma/adapter-pg'
import type { ImpersonationEngine } from 'onbehalf'
import { guardPool } from 'onbehalf/sql'
import type { Pool } from 'pg'

/** For Prisma 7: `new PrismaClient({ adapter: guardedAdapter(pool, impersonation) })`. */
export const guardedAdapter = <User extends object>(
  pool: Pool,
  impersonation: ImpersonationEngine<User>,
) => new PrismaPg(guardPool(pool, impersonation))
