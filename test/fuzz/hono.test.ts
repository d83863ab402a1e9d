import { getPath } from 'hono/utils/url'
import { honoVariant } from './hono.ts'
import { fuzz } from './run.ts'

fuzz([
  honoVariant({ server: 2 }),
  honoVariant({ server: 1 }),
  honoVariant({ server: 2, router: 'RegExpRouter', strict: false }),
  honoVariant({ server: 1, router: 'TrieRouter', strict: false }),
  honoVariant({ server: 2, router: 'TrieRouter' }),
  honoVariant({ server: 2, router: 'LinearRouter', strict: false }),
  honoVariant({ server: 2, router: 'PatternRouter' }),
  honoVariant({ server: 2, style: 'basePath' }),
  honoVariant({ server: 1, style: 'basePath' }),
  honoVariant({ server: 2, style: 'route', strict: false }),
  honoVariant({ server: 2, style: 'mount' }),
  honoVariant({
    server: 2,
    told: 'a getPath that folds',
    getPath: (request) =>
      getPath(request)
        .toLowerCase()
        .replace(/\/{2,}/g, '/'),
  }),
])
