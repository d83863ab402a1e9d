// Loaded with `node --import`: lets `onbehalf` and its entry points mean the sources, as tsconfig.json
// says under "paths", so that an example runs in a checkout without a build.

import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const root = new URL('../', import.meta.url)
const { paths } = JSON.parse(readFileSync(new URL('tsconfig.json', root), 'utf8')).compilerOptions

registerHooks({
  resolve(specifier, context, next) {
    const [source] = Object.hasOwn(paths, specifier) ? paths[specifier] : []
    return next(source ? new URL(source, root).href : specifier, context)
  },
})
