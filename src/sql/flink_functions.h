#pragma once

namespace tailrace::sql {

struct SqlMacro {
  const char* signature;
  const char* body;
};

/// Flink's functions that DuckDB lacks or understands differently, as SQL. __now() is ours (front_end.cc): the wall
/// clock once a batch, never folded into the plan.
/// https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/functions/systemfunctions/
inline constexpr SqlMacro kFlinkFunctions[] = {
    // Time of evaluation. DuckDB's own are fixed when a query starts, and a streaming query starts once.
    {"now()", "__now()"},
    {"get_current_timestamp()", "__now()"},
    {"transaction_timestamp()", "__now()"},
    {"proctime()", "__now()"},
    {"current_row_timestamp()", "__now()"},
    {"current_localtimestamp()", "CAST(__now() AS TIMESTAMP)"},
    {"current_localtime()", "CAST(CAST(__now() AS TIMESTAMP) AS TIME)"},
    {"get_current_time()", "CAST(CAST(__now() AS TIMESTAMP) AS TIME)"},
    {"current_date()", "CAST(__now() AS DATE)"},
    {"today()", "CAST(__now() AS DATE)"},
    {"unix_timestamp()", "CAST(epoch(__now()) AS BIGINT), (s) AS CAST(epoch(CAST(s AS TIMESTAMP)) AS BIGINT)"},

    // The forms with a pattern are in query_rewriter.cc: strptime wants a constant in DuckDB's notation.
    {"to_timestamp(s)", "CAST(s AS TIMESTAMP)"},
    {"to_timestamp_ltz(n)",
     "make_timestamptz(CAST(n AS BIGINT) * 1000), "
     "(n, p) AS make_timestamptz(CAST(n AS BIGINT) * CASE p WHEN 0 THEN 1000000 WHEN 3 THEN 1000 ELSE 1 END)"},
    {"from_unixtime(n)", "strftime(make_timestamp(CAST(n AS BIGINT) * 1000000), '%Y-%m-%d %H:%M:%S')"},
    {"to_date(s)", "CAST(s AS DATE)"},
    {"__timestamp_add(unit, n, t)", "t + CAST(n AS BIGINT) * CAST('1 ' || unit AS INTERVAL)"},
    {"__truncate_to_second(t)", "date_trunc('second', t)"},
    {"__truncate_to_minute(t)", "date_trunc('minute', t)"},
    {"__truncate_to_hour(t)", "date_trunc('hour', t)"},
    {"__truncate_to_day(t)", "date_trunc('day', t)"},
    {"__truncate_to_week(t)", "date_trunc('week', t)"},
    {"__truncate_to_month(t)", "date_trunc('month', t)"},
    {"__truncate_to_quarter(t)", "date_trunc('quarter', t)"},
    {"__truncate_to_year(t)", "date_trunc('year', t)"},

    // Strings.
    {"split_index(s, separator, i)", "list_extract(string_split(s, separator), i + 1)"},
    {"char_length(s)", "length(s)"},
    {"character_length(s)", "length(s)"},
    {"locate(part, s)",
     "CAST(instr(s, part) AS INTEGER), "
     "(part, s, start) AS CAST(CASE WHEN instr(s[start:], part) = 0 THEN 0 "
     "ELSE instr(s[start:], part) + start - 1 END AS INTEGER)"},
    {"regexp_replace(s, pattern, replacement)",  // all of them, as Flink; DuckDB's own takes the first
     "system.main.regexp_replace(s, pattern, replacement, 'g')"},
    {"regexp(s, pattern)", "regexp_matches(s, pattern)"},
    {"initcap(s)",
     "array_to_string(list_transform(string_split(lower(s), ' '), lambda w: upper(w[1:1]) || w[2:]), ' ')"},
    {"count_char(s, c)", "CAST(length(s) - length(replace(s, c, '')) AS BIGINT)"},  // Nexmark's user-defined function
    {"startswith(s, prefix)", "starts_with(s, prefix)"},
    {"endswith(s, suffix)", "ends_with(s, suffix)"},
    {"is_alpha(s)", "regexp_full_match(s, '[A-Za-z]+')"},
    {"is_digit(s)", "regexp_full_match(s, '[0-9]+')"},
    {"is_decimal(s)", "TRY_CAST(s AS DOUBLE) IS NOT NULL"},

    // JSON.
    {"json_query(j, path)", "CAST(json_extract(j, path) AS VARCHAR)"},

    // Numbers.
    {"truncate(x, n)", "trunc(x * pow(10, n)) / pow(10, n)"},
    {"rand()", "random()"},
    {"rand_integer(n)", "CAST(floor(random() * n) AS INTEGER)"},
    {"element(a)", "list_extract(a, 1)"},
    {"array_contains(a, x)", "list_contains(a, x)"},
};

}  // namespace tailrace::sql
