import { describe, it } from 'node:test'
import { storeTests } from 'onbehalf/testing'
import { openDatabase } from './database.ts'
import { drizzleStore } from './store.ts'

/** Every rule of the store contract is a test. Give it a factory of your own store, and run it in your CI. */
storeTests({ describe, it }, () => drizzleStore(openDatabase(':memory:')))
