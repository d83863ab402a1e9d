/** A row of a multi-row insert takes 17 parameters, and SQLite takes 32,766. */
const rowsPerStatement = 500

/** As many as fit into one statement. */
export function batches<T>(rows: readonly T[]): T[][] {
  const count = Math.ceil(rows.length / rowsPerStatement)
  return Array.from({ length: count }, (_, n) =>
    rows.slice(n * rowsPerStatement, (n + 1) * rowsPerStatement),
  )
}
