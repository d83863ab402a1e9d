/** Mutants of what decides: `npm run mutants`. Takes minutes; not a part of `npm test`. */
export default {
  testRunner: 'vitest',
  vitest: { configFile: 'test/mutants/vitest.config.ts', related: false },
  plugins: ['@stryker-mutator/vitest-runner'],
  mutate: [
    'src/pipeline/{enforce,methods,patterns,classify,walls,known-routes,forward}.ts',
    'src/lifecycle/{carry,start-rate,grants,grant-state,grant-expiry,entry,consent,policy}.ts',
    'src/sql/{plugin,nodes,fragments,verdict,calls}.ts',
  ],
  coverageAnalysis: 'perTest',
  ignoreStatic: false,
  concurrency: 2,
  timeoutMS: 10_000,
  tempDirName: 'node_modules/.cache/mutants',
  reporters: ['clear-text', 'progress'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  allowEmpty: false,
  disableTypeChecks: false,
}
