import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

const foreign = /^(node_modules|dist|coverage|\..+)$/

/** Every file of the repository under a folder, as paths with `/` from the root; hidden ones at the root too. */
export function filesIn(folder = ''): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name)
    if (entry.isDirectory()) return foreign.test(entry.name) ? [] : filesIn(path)
    return entry.isFile() ? [path] : []
  })
}

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
