export type {
  AdapterTestsOptions,
  Mount,
  MountedApp,
  TestAnswer,
  TestApp,
  TestCall,
  TestHandler,
  TestLayer,
  TestRoute,
  TestUser,
} from './adapter/app.ts'
export { adapterTests } from './adapter-tests.ts'
export { type RandomCommandsOptions, runRandomCommands } from './commands.ts'
export { type Fault, type FaultPlan, type FaultyStore, faultyStore } from './faulty-store.ts'
export type { TestRunner } from './store/fixtures.ts'
export { type StoreTestsOptions, storeTests } from './store-tests.ts'
