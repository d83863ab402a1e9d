import { createImpersonation } from 'onbehalf'
import { type MailTransport, mail } from 'onbehalf/notify'
import { sqliteStore } from 'onbehalf/sqlite'
import { totp } from 'onbehalf/totp'
import { addTester, findPerson, type Person, removeTester } from './people.ts'

const rights: Readonly<Record<Person['role'], readonly string[]>> = {
  support: ['start', 'break_glass', 'test_session'],
  lead: ['start', 'list', 'revoke', 'confirm_break_glass', 'approve'],
  customer: [],
  tester: [],
}

/** The one file that knows the policy: nobody enters an account because they can. */
export const createPolicy = (transport: MailTransport) =>
  createImpersonation({
    store: sqliteStore({ file: process.env.IMPERSONATION_DB ?? ':memory:' }),
    findUser: findPerson,
    can: (user, action) => rights[user.role].includes(action),

    // The customer says yes first,
    consent: 'required',
    // at the level that may do everything a colleague does, too,
    approvals: { levels: ['full'], roles: ['lead'] },
    // and where nobody can be asked, two people take responsibility, and the customer is told.
    breakGlass: { verifySecondFactor: totp({ secret: (user: Person) => user.totpSecret ?? null }) },
    // To see what a role sees needs no customer at all.
    sandbox: { provision: addTester, dispose: removeTester, orgId: 'sandbox' },

    notifier: {
      channels: (user) => [{ channel: 'mail', to: user.email, optedOut: user.wantsMail === false }],
      send: mail({ transport, from: 'Acme Support <support@staff.example>' }),
    },
  })
