import type { ChainKeys } from '../audit/seal.ts'
import { keyVariables } from './chain-keys.ts'
import type { Check } from './checks.ts'
import type { Tools } from './command.ts'
import { count } from './output.ts'
import { misfitOf } from './sealing.ts'

/** Whether events are sealed, and whether the key that is given here is the servers'. */
export async function chain({ store, chainKeys }: Tools): Promise<Omit<Check, 'name'>> {
  const head = await store.chain.readHead()
  const links = head && count(head.seq, 'link')
  let keys: ChainKeys | undefined
  try {
    keys = chainKeys()
  } catch (error) {
    const found = `${links ?? 'no link'}, and the key that is given here can’t be used.`
    return { status: 'fail', found, todo: error instanceof Error ? error.message : String(error) }
  }
  if (!head) return keys ? unbegun(store) : { status: 'ok', found: 'no audit event is sealed.' }
  if (!keys) {
    return {
      status: 'warn',
      found: `${links}, and no key is given here.`,
      todo: `Set ${keyVariables.key}: without it onbehalf verify can’t look, and the events of onbehalf revoke are not sealed.`,
    }
  }
  const misfit = await misfitOf(store.chain, keys, head)
  if (misfit === null) return { status: 'ok', found: `${links}, and the last one holds.` }
  return {
    status: 'fail',
    found: `${links}. ${misfit}`,
    todo: `Compare ${keyVariables.key} and ${keyVariables.id} with the servers’ audit.key, then run onbehalf verify.`,
  }
}

async function unbegun(store: Tools['store']): Promise<Omit<Check, 'name'>> {
  const [event] = await store.chain.readUnsealed(0, 1)
  if (!event) return { status: 'ok', found: 'a key is given, and there are no events yet.' }
  return {
    status: 'warn',
    found: 'a key is given, and of the audit events none is sealed.',
    todo: 'Do the servers have audit.key? If they did before, the links were removed.',
  }
}
