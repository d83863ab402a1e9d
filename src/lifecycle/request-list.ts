import type { Page } from '../stores/store.ts'

const pageSize = 100

/** A full page of those rows that are to be kept, however many others lie between them. */
export async function keptOf<T extends { readonly createdAt: number; readonly id: string }>(
  page: Page,
  read: (page: Page) => Promise<readonly T[]>,
  keep: (row: T) => boolean | Promise<boolean>,
): Promise<T[]> {
  const kept: T[] = []
  let { before } = page
  for (;;) {
    const rows = await read({ limit: pageSize, before })
    for (const row of rows) {
      if (await keep(row)) kept.push(row)
      if (kept.length >= page.limit) return kept
    }
    const last = rows.at(-1)
    if (!last || rows.length < pageSize) return kept
    before = { at: last.createdAt, id: last.id }
  }
}
