/** A user as this application knows them; the login puts exactly this on the request. */
export interface User {
  id: string
  email: string
  name: string
  /** The organisation they act in. */
  orgId: string
  role: 'superuser' | 'owner' | 'member'
  active: boolean
}

interface Account {
  email: string
  name: string
  active?: boolean
  /** Roles by organisation; the first one is where they land after a login. */
  roles: Record<string, User['role']>
}

// Stands for the tables of a real application.
const accounts = new Map<string, Account>([
  ['root', { email: 'root@staff.example', name: 'Root', roles: { staff: 'superuser' } }],
  ['alice', { email: 'alice@acme.example', name: 'Alice', roles: { acme: 'owner' } }],
  ['bob', { email: 'bob@acme.example', name: 'Bob', roles: { acme: 'member', globex: 'member' } }],
  ['carol', { email: 'carol@globex.example', name: 'Carol', roles: { globex: 'owner' } }],
  [
    'dave',
    { email: 'dave@globex.example', name: 'Dave', active: false, roles: { globex: 'member' } },
  ],
])

/** The user with this id; with an organisation, as a member of it, or null when they are none. */
export function findUser(id: string, scope?: { readonly orgId: string }): User | null {
  const account = accounts.get(id)
  if (!account) return null
  const { email, name, active = true, roles } = account
  const orgId = scope?.orgId ?? Object.keys(roles)[0] ?? ''
  const role = Object.hasOwn(roles, orgId) ? roles[orgId] : undefined
  return role ? { id, email, name, orgId, role, active } : null
}

export function findByEmail(email: string): User | null {
  for (const [id, account] of accounts) if (account.email === email) return findUser(id)
  return null
}

export function allUsers(): User[] {
  return [...accounts.keys()].flatMap((id) => findUser(id) ?? [])
}
