const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

/** No statement that only reads has one of these as a bare word; as the name of a column, quote or qualify it. */
export const writing = words(`
  insert update delete merge replace into truncate create alter drop grant revoke call do copy lock
  vacuum reindex refresh set reset prepare execute deallocate listen notify unlisten import comment
  cluster attach detach load handler rename procedure returning nextval uescape`)

/** Writing words that are also plain functions: `replace(a, b, c)`, `truncate(x, 2)`. */
export const alsoFunctions = words('replace truncate')

/** What a query may begin with. */
export const queryHeads = words('select with values table')

/** Words before a parenthesis that no dialect takes for the name of a function. */
export const reserved = words(`
  select from where and or not in any all some exists as on using having union intersect except
  distinct when then else case between like ilike limit offset values lateral array join group only
  for placing both leading trailing symmetric to row interval`)

/** Words that are syntax before a parenthesis only when they follow one of these; elsewhere they may be functions. */
export const positional: Readonly<Record<string, ReadonlySet<string>>> = {
  over: words(')'),
  filter: words(')'),
  sets: words('grouping'),
  by: words('group order partition'),
  index: words('use force ignore'),
  key: words('use force ignore'),
  zone: words('time'),
  varying: words('character char bit'),
  analyze: words('explain'),
  verbose: words('explain analyze analyse'),
  system: words('tablesample'),
  bernoulli: words('tablesample'),
}

/** What statements about transactions consist of. `write` is not among them: nothing here may ask for it. */
export const transactionWords = words(`
  begin start transaction work commit end rollback savepoint release abort to and no chain isolation
  level read only committed uncommitted repeatable serializable deferrable not deferred immediate
  exclusive with consistent snapshot set`)
export const transactionHeads = words('begin start commit end rollback savepoint release abort set')

/** After these a name follows. */
export const beforeSavepoint = words('savepoint to release')

/** What may stand between EXPLAIN and the query. */
export const explainWords = words(
  'analyze analyse verbose extended partitions format json tree traditional text query plan true false on off',
)

/** Pragmas of SQLite that tell something and change nothing; the second set takes a name. */
export const readPragmas = words(`
  table_list database_list compile_options function_list collation_list pragma_list module_list
  user_version schema_version application_id data_version encoding journal_mode foreign_keys
  page_count page_size freelist_count`)
export const readPragmasOfNames = words(
  'table_info table_xinfo index_list index_info index_xinfo foreign_key_list',
)
