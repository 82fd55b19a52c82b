#pragma once
// What a streaming SQL file says, after parsing: tables, views, statements, each with its place in the file.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/types.h"

namespace tailrace::sql {

struct Option {
  std::string value;
  SourceLocation where;
};
using Options = std::map<std::string, Option>;

/// `name AS expression` in DDL, and the text of a constraint.
struct SqlText {
  std::string text;
  SourceLocation where;
};

struct Column {
  std::string name;
  data::Type type;  // computed: known in Plan::script only
  bool not_null = false;
  std::optional<SqlText> computed;      // name AS expression
  std::optional<std::string> metadata;  // METADATA FROM 'key': offset, partition, timestamp, key, headers, topic
  bool read_only = false;               // METADATA ... VIRTUAL: a sink is given nulls there and writes nothing
  SourceLocation where;
};

struct Check {
  std::string name;   // CONSTRAINT name; else "check N"
  SqlText condition;  // a row passes where it is true or null, as SQL says
};

struct Watermark {
  std::string column;
  SqlText expression;  // e.g. ts - INTERVAL '5' SECOND
};

struct Table {
  std::string name;
  SourceLocation where;
  std::vector<Column> columns;  // CREATE TABLE ... AS SELECT: filled in Plan::script, from the query
  std::vector<std::string> primary_key;
  std::vector<std::string> partitioned_by;
  std::vector<Check> checks;
  std::optional<Watermark> watermark;
  Options options;  // 'connector' among them

  /// The columns that come from outside (not computed), in order: what decoders produce and sinks take.
  data::Schema physical_schema() const;
  /// All columns in order: what a query sees.
  data::Schema schema() const;
  /// The option's value, or `otherwise`.
  std::string Get(const std::string& key, const std::string& otherwise = "") const;
};

struct View {
  std::string name;
  std::vector<std::string> columns;  // CREATE VIEW v (a, b) AS; empty: the query's names
  SqlText query;
};

struct Insert {
  std::string target;
  SourceLocation where;              // of the target's name
  std::vector<std::string> columns;  // empty: all, by position
  SqlText query;
};

/// A parsed file. SET 'key' = 'value' lands in settings.
struct Script {
  std::string file;
  std::string text;
  std::vector<Table> tables;
  std::vector<View> views;
  std::vector<Insert> inserts;  // all of a file run as one job over shared sources, as one STATEMENT SET
  Options settings;             // pipeline.name, execution.checkpointing.interval, errors.topic, ...

  const Table* FindTable(const std::string& name) const;
};

}  // namespace tailrace::sql
