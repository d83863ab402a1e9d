import { unlinkSync } from 'node:fs'
import { open, rename, stat, unlink } from 'node:fs/promises'
import { Fault } from './faults.ts'

/**
 * Writes a file that is there as a whole or not at all: beside its place first, and moved there at the
 * end. What was there before stays until then. Only its owner may read it.
 * @throws {Fault} when the file can't be written
 */
export async function writeWhole(
  path: string,
  fill: (write: (text: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  const part = `${path}.${process.pid}.part`
  const named = (error: unknown) =>
    new Fault(`Could not write ${path}: ${error instanceof Error ? error.message : error}`)
  const folder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (folder) throw new Fault(`Could not write ${path}: it is a folder.`)
  const file = await open(part, 'wx', 0o600).catch((error) => {
    throw named(error)
  })
  const remove = () => {
    try {
      unlinkSync(part)
    } catch {}
  }
  // For a process that is told to stop in the middle.
  process.once('exit', remove)
  try {
    await fill((text) =>
      file.appendFile(text).catch((error) => {
        throw named(error)
      }),
    )
    await file.sync()
    await file.close()
    await rename(part, path).catch((error) => {
      throw named(error)
    })
  } catch (error) {
    await file.close().catch(() => {})
    await unlink(part).catch(() => {})
    throw error
  } finally {
    process.off('exit', remove)
  }
}
