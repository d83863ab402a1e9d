import type { SqlDialect } from './lexer.ts'

/*
 * Built-in functions that only compute or look. Everything else is refused: sequences, settings,
 * locks, sleeping, notifications, large objects, files, other servers, administration, and what
 * runs a text as a statement (`query_to_xml`, `ts_stat`, `ts_rewrite`). A name is listed for the
 * databases that have it: elsewhere it may be a function of the host's.
 */
const names = (text: string): readonly string[] => text.trim().split(/\s+/)

const everywhere = names(`
  abs acos asin atan atan2 binary cast ceil ceiling coalesce collate concat concat_ws cos count
  cume_dist current_date current_time current_timestamp decimal degrees dense_rank exp extract
  first_value floor format json_array json_object lag lead length ln log log10 lower ltrim max min
  mod nchar nth_value ntile nullif numeric octet_length percent_rank percentile_cont
  percentile_disc pi pow power radians rank round rtrim sign sin sqrt substr substring sum tan
  upper`)

const postgres = names(`
  abbrev acosh age any_value area array_agg array_append array_cat array_dims array_fill
  array_length array_lower array_ndims array_position array_positions array_prepend array_remove
  array_replace array_to_json array_to_string array_to_tsvector array_upper ascii asinh atanh avg
  bit_and bit_count bit_length bit_or bit_xor bool_and bool_or box broadcast btrim cardinality
  cbrt char char_length character_length chr circle clock_timestamp col_description convert
  convert_from convert_to corr cosd cosh cot covar_pop covar_samp crc32 cube current_database
  current_schema current_schemas current_setting current_user currval date date_bin date_part
  date_trunc daterange decode diameter div encode erf erfc every factorial family format_type
  gamma gcd gen_random_uuid generate_series generate_subscripts get_bit get_byte
  get_current_ts_config greatest grouping has_any_column_privilege has_column_privilege
  has_database_privilege has_function_privilege has_schema_privilege has_sequence_privilege
  has_table_privilege has_type_privilege height host hostmask inet_client_addr inet_merge
  inet_server_addr initcap int4range int8range isclosed isempty isfinite isopen json_agg
  json_agg_strict json_array_elements json_array_elements_text json_array_length json_arrayagg
  json_build_array json_build_object json_each json_each_text json_exists json_extract_path
  json_extract_path_text json_object_agg json_object_keys json_objectagg json_populate_record
  json_populate_recordset json_query json_scalar json_serialize json_strip_nulls json_table
  json_to_record json_to_recordset json_to_tsvector json_typeof json_value jsonb_agg
  jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
  jsonb_build_object jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all jsonb_exists_any
  jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg
  jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array
  jsonb_path_query_first jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set
  jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_to_tsvector
  jsonb_typeof justify_days justify_hours justify_interval last_value lastval lcm least left
  lgamma like localtime localtimestamp lower_inc lower_inf lpad lseg make_date make_interval
  make_time make_timestamp make_timestamptz masklen md5 min_scale mode netmask network normalize
  now npoints num_nonnulls num_nulls numnode numrange obj_description overlaps overlay parse_ident
  path pg_backend_pid pg_client_encoding pg_column_size pg_database_size pg_encoding_to_char
  pg_function_is_visible pg_get_constraintdef pg_get_expr pg_get_function_arguments
  pg_get_function_identity_arguments pg_get_function_result pg_get_functiondef pg_get_indexdef
  pg_get_keywords pg_get_partkeydef pg_get_ruledef pg_get_serial_sequence pg_get_triggerdef
  pg_get_userbyid pg_get_viewdef pg_has_role pg_index_column_has_property pg_indexes_size
  pg_is_in_recovery pg_is_other_temp_schema pg_my_temp_schema pg_opclass_is_visible
  pg_operator_is_visible pg_postmaster_start_time pg_relation_size pg_size_bytes pg_size_pretty
  pg_table_is_visible pg_table_size pg_total_relation_size pg_type_is_visible pg_typeof
  phraseto_tsquery plainto_tsquery point polygon position querytree quote_ident quote_literal
  quote_nullable random random_normal range_agg range_intersect_agg range_merge regexp_count
  regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
  regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2
  regr_slope regr_sxx regr_sxy regr_syy repeat replace reverse right rollup row_number
  row_security_active row_to_json rpad scale session_user set_byte set_masklen setweight sha224
  sha256 sha384 sha512 shobj_description sind sinh split_part starts_with statement_timestamp
  stddev stddev_pop stddev_samp string_agg string_to_array string_to_table strip strpos
  system_user tand tanh time timeofday timestamp timestamptz timezone to_ascii to_bin to_char
  to_date to_hex to_json to_jsonb to_number to_oct to_regclass to_regnamespace to_regproc
  to_regrole to_regtype to_timestamp to_tsquery to_tsvector transaction_timestamp translate trim
  trim_array trim_scale trunc ts_debug ts_delete ts_filter ts_headline ts_lexize ts_rank
  ts_rank_cd tsquery_phrase tsrange tstzrange tsvector_to_array unnest upper_inc upper_inf
  uuid_extract_timestamp uuidv4 uuidv7 var_pop var_samp varchar variance version
  websearch_to_tsquery width width_bucket xml_is_well_formed xmlagg xmlattributes xmlconcat
  xmlelement xmlforest xmlparse xmlserialize xmltable xpath xpath_exists`)

const mysql = names(`
  adddate addtime against any_value bin bin_to_uuid bit_and bit_count bit_length bit_or bit_xor
  char_length character_length charset chr coercibility collation connection_id conv convert_tz
  cot crc32 curdate curtime database date_add date_format date_sub datediff day dayname dayofmonth
  dayofweek dayofyear decode elt encode export_set extractvalue field find_in_set found_rows
  from_base64 from_days from_unixtime get_format greatest group_concat grouping hex hour if ifnull
  inet6_aton inet6_ntoa inet_aton inet_ntoa instr is_ipv4 is_ipv6 is_uuid isnull json_arrayagg
  json_compact json_contains json_contains_path json_depth json_detailed json_exists json_extract
  json_insert json_keys json_length json_loose json_merge json_merge_patch json_merge_preserve
  json_objectagg json_overlaps json_pretty json_query json_quote json_remove json_replace
  json_search json_set json_table json_type json_unquote json_valid json_value last_day lcase
  least localtime localtimestamp locate log2 lpad make_set makedate maketime match md5 median
  microsecond mid minute month monthname now nvl nvl2 oct ord period_add period_diff position
  quarter quote rand regexp regexp_instr regexp_replace regexp_substr reverse rlike rollup
  row_count rpad schema sec_to_time second session_user sha1 sha2 signed soundex space std stddev
  stddev_pop stddev_samp str_to_date strcmp subdate substring_index subtime sysdate system_user
  time_format time_to_sec timediff timestampadd timestampdiff to_base64 to_char to_days to_seconds
  trim truncate ucase unhex unix_timestamp unsigned user utc_date utc_time utc_timestamp uuid
  uuid_short uuid_to_bin var_pop var_samp variance version week weekday weekofyear weight_string
  year yearweek`)

const sqlite = names(`
  acosh asinh atanh avg bm25 changes char cosh date datetime glob group_concat hex highlight if
  ifnull iif instr json json_array_length json_each json_error_position json_extract
  json_group_array json_group_object json_insert json_patch json_pretty json_quote json_remove
  json_replace json_set json_tree json_type json_valid jsonb jsonb_array jsonb_extract
  jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch jsonb_remove
  jsonb_replace jsonb_set julianday last_insert_rowid last_value like log2 match median
  pragma_collation_list pragma_database_list pragma_foreign_key_list pragma_index_info
  pragma_index_list pragma_index_xinfo pragma_table_info pragma_table_list pragma_table_xinfo
  printf quote random regexp replace row_number sinh snippet sqlite_compileoption_get
  sqlite_compileoption_used sqlite_source_id sqlite_version strftime string_agg tanh time timediff
  total total_changes trim trunc typeof unhex unicode unixepoch`)

/** By dialect; where it is not known, all of them. */
export const readFunctionsOf: Readonly<Record<SqlDialect | 'unknown', ReadonlySet<string>>> = {
  postgres: new Set([...everywhere, ...postgres]),
  mysql: new Set([...everywhere, ...mysql]),
  sqlite: new Set([...everywhere, ...sqlite]),
  unknown: new Set([...everywhere, ...postgres, ...mysql, ...sqlite]),
}
