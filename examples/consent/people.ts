/** A user as this application knows them; the login puts exactly this on the request. */
export interface Person {
  readonly id: string
  readonly name: string
  readonly email: string
  readonly orgId: string
  readonly role: 'support' | 'lead' | 'customer' | 'tester'
  /** Their second factor, in base32; a real application keeps it encrypted. */
  readonly totpSecret?: string
  /** Customers may say that they want no mail about support. */
  readonly wantsMail?: boolean
}

const staff: readonly Person[] = [
  {
    ...{ id: 'sam', name: 'Sam', email: 'sam@staff.example', orgId: 'staff', role: 'support' },
    totpSecret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
  },
  {
    ...{ id: 'lea', name: 'Lea', email: 'lea@staff.example', orgId: 'staff', role: 'lead' },
    totpSecret: 'KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU',
  },
]

const customers: readonly Person[] = [
  { id: 'alice', name: 'Alice', email: 'alice@acme.example', orgId: 'acme', role: 'customer' },
  {
    ...{ id: 'bob', name: 'Bob', email: 'bob@globex.example', orgId: 'globex', role: 'customer' },
    wantsMail: false,
  },
]

const people = new Map([...staff, ...customers].map((person) => [person.id, person]))

export const findPerson = (id: string): Person | null => people.get(id) ?? null

/** Somebody for one test session, in a tenant that holds nothing real. */
export function addTester(role: string): Person {
  const id = `tester-${crypto.randomUUID()}`
  const tester: Person = {
    ...{ id, name: `Tester (${role})`, email: `${id}@sandbox.example` },
    ...{ orgId: 'sandbox', role: 'tester', wantsMail: false },
  }
  people.set(id, tester)
  return tester
}

export const removeTester = ({ id }: Person): boolean => people.delete(id)

export const testers = (): number =>
  [...people.values()].filter((one) => one.role === 'tester').length
