// DDL, SET, INSERT and statement sets in Flink's dialect:
// https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/create/
// Queries and expressions are not parsed here: their text goes to DuckDB (planner.h).

#include <algorithm>

#include "sql/planner.h"
#include "sql/type_parser.h"

namespace tailrace::sql {

namespace {

constexpr size_t kColumnsMax = 4096;
constexpr size_t kStatementsMax = 1000;

class ScriptParser {
 public:
  ScriptParser(const SourceText& source, std::vector<Token> tokens, Script* out)
      : source_(source), cursor_(source, std::move(tokens)), out_(out) {}

  Status Run() {
    size_t statements = 0;
    while (!cursor_.AtEnd()) {
      if (cursor_.Accept(";")) continue;
      if (++statements > kStatementsMax)
        return Error(ErrorCode::kLimitExceeded,
                     "a script has at most " + std::to_string(kStatementsMax) + " statements")
            .At(cursor_.Here());
      TRY(Statement());
    }
    return {};
  }

 private:
  Status Statement() {
    const Token first = cursor_.Peek();
    const SourceLocation where = cursor_.Here();
    if (cursor_.Accept("CREATE")) return Create(where);
    if (first.Is("INSERT")) {
      TRY(Insert());
      return EndStatement();
    }
    if (cursor_.Accept("SET")) {
      TRY(Set());
      return EndStatement();
    }
    if (cursor_.AcceptAll({"EXECUTE", "STATEMENT", "SET"})) {
      TRY(cursor_.Expect("BEGIN"));
      return StatementSet(where);
    }
    if (cursor_.AcceptAll({"BEGIN", "STATEMENT", "SET"})) {
      TRY(cursor_.Expect(";"));
      return StatementSet(where);
    }
    if (cursor_.AcceptAll({"EXECUTE", "INSERT"}) || cursor_.AcceptAll({"EXECUTE", "CREATE"}))
      return Unsupported("EXECUTE before a statement is not needed").At(where).Remedy("leave the word EXECUTE out");
    if (first.Is("SELECT") || first.Is("WITH") || first.Is("VALUES"))
      return InvalidArgument("a query alone has no place to send its rows")
          .At(where)
          .Remedy("write INSERT INTO a table WITH ('connector' = 'print') before it");
    for (const char* word : {"DROP", "ALTER", "USE", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "LOAD", "UNLOAD", "ADD",
                             "RESET", "TRUNCATE", "UPDATE", "DELETE", "ANALYZE", "CALL"})
      if (first.Is(word))
        return Unsupported(ToUpper(first.text) + " is not a statement of a streaming job")
            .At(where)
            .Remedy(first.Is("DROP") ? "remove it: a file's tables and views exist for that file only"
                                     : "remove it; a file holds CREATE, SET, INSERT and EXECUTE STATEMENT SET");
    return cursor_.Expected("CREATE, INSERT, SET or EXECUTE STATEMENT SET");
  }

  Status EndStatement() {
    if (cursor_.AtEnd() || cursor_.Accept(";")) return {};
    return cursor_.Expected("';' after the statement");
  }

  Status StatementSet(const SourceLocation& where) {
    const size_t before = out_->inserts.size();
    while (!cursor_.Accept("END")) {
      if (cursor_.Accept(";")) continue;
      if (cursor_.AtEnd()) return cursor_.Expected("INSERT or END of the statement set");
      if (!cursor_.Peek().Is("INSERT")) return cursor_.Expected("INSERT or END");
      TRY(Insert());
      TRY(cursor_.Expect(";"));
    }
    if (out_->inserts.size() == before)
      return InvalidArgument("the statement set is empty").At(where).Remedy("put an INSERT INTO between BEGIN and END");
    return EndStatement();
  }

  Status Set() {
    // SET 'k' = 'v', and the older SET k = v.
    const SourceLocation where = cursor_.Here();
    std::string key;
    if (cursor_.Peek().kind == Token::Kind::kString) {
      key = cursor_.Next().text;
    } else {
      while (!cursor_.Peek().IsSymbol("=") && !cursor_.AtEnd() && !cursor_.Peek().IsSymbol(";"))
        key += cursor_.Next().text;
      if (key.empty()) return cursor_.Expected("a setting, as in SET 'pipeline.name' = 'clicks'");
    }
    TRY(cursor_.Expect("="));
    const Token& token = cursor_.Peek();
    std::string value;
    if (token.kind == Token::Kind::kString) {
      value = cursor_.Next().text;
    } else {
      while (!cursor_.AtEnd() && !cursor_.Peek().IsSymbol(";")) value += cursor_.Next().text;
      if (value.empty()) return cursor_.Expected("the setting's value");
    }
    out_->settings[key] = {value, where};
    return {};
  }

  Status Create(const SourceLocation& where) {
    if (cursor_.AcceptAll({"OR", "REPLACE"})) {
      if (!cursor_.Peek().Is("TABLE") && !cursor_.Peek().Is("VIEW") && !cursor_.Peek().Is("TEMPORARY"))
        return cursor_.Expected("TABLE or VIEW");
    }
    cursor_.Accept("TEMPORARY");
    if (cursor_.Accept("TABLE")) return CreateTable();
    if (cursor_.Accept("VIEW")) return CreateView();
    if (cursor_.Accept("FUNCTION")) {
      // Java functions can't run here. The one that Nexmark brings along is built in under its name.
      const SourceLocation at = cursor_.Here();
      if (TRY(cursor_.ExpectIdentifier("the function's name")) != "count_char")
        return Unsupported("user-defined functions are not supported")
            .At(at)
            .Remedy("use the built-in functions (docs/sql.md)");
      while (!cursor_.AtEnd() && !cursor_.Peek().IsSymbol(";")) cursor_.Next();
      return EndStatement();
    }
    for (const char* word : {"SYSTEM", "CATALOG", "DATABASE", "MODEL", "CONNECTION"})
      if (cursor_.Peek().Is(word))
        return Unsupported("CREATE " + ToUpper(cursor_.Peek().text) + " is not supported")
            .At(where)
            .Remedy("use CREATE TABLE, CREATE VIEW and the built-in functions");
    return cursor_.Expected("TABLE or VIEW");
  }

  bool IsKnown(const std::string& name) const {
    return out_->FindTable(name) ||
           std::any_of(out_->views.begin(), out_->views.end(), [&](const View& view) { return view.name == name; });
  }

  // [IF NOT EXISTS] name; names in DuckDB's catalog fold case, so two that differ in case only are refused.
  Result<std::string> NewName(const char* what, bool* skip) {
    const bool if_not_exists = cursor_.AcceptAll({"IF", "NOT", "EXISTS"});
    const SourceLocation where = cursor_.Here();
    std::string name = TRY(cursor_.ExpectIdentifier(std::string("the name of the ") + what));
    if (cursor_.Peek().IsSymbol("."))
      return Unsupported("names of catalogs and databases are not supported").At(where).Remedy("write the name alone");
    *skip = false;
    auto clash = [&](const std::string& other) { return ToLower(other) == ToLower(name); };
    for (const Table& table : out_->tables)
      if (clash(table.name)) {
        if (if_not_exists) *skip = true;
        else
          return InvalidArgument(name + " is there already, from line " + std::to_string(table.where.line))
              .At(where)
              .Remedy("rename one of them");
      }
    for (const View& view : out_->views)
      if (clash(view.name))
        return InvalidArgument(name + " is there already, a view").At(where).Remedy("rename one of them");
    return name;
  }

  Status CreateTable() {
    bool skip = false;
    Table table;
    table.where = cursor_.Here();
    table.name = TRY(NewName("table", &skip));
    if (cursor_.Accept("(")) {
      if (!cursor_.Peek().IsSymbol(")")) {
        do TRY(TableElement(&table));
        while (cursor_.Accept(","));
      }
      if (!cursor_.Accept(")")) return cursor_.Expected("',' or ')' after a column");
      if (table.columns.empty()) return InvalidArgument("table " + table.name + " has no columns").At(table.where);
    }
    if (cursor_.Accept("COMMENT")) TRY(cursor_.ExpectString("the comment, a string"));
    if (cursor_.Accept("PARTITIONED")) {
      TRY(cursor_.Expect("BY"));
      table.partitioned_by = TRY(ColumnList(table, "PARTITIONED BY"));
    }
    if (cursor_.Peek().Is("DISTRIBUTED"))
      return Unsupported("DISTRIBUTED BY is not supported")
          .At(cursor_.Here())
          .Remedy("leave it out; the connector's options choose the key");
    if (!cursor_.Accept("WITH"))
      return InvalidArgument("expected WITH ('connector' = '...') for table " + table.name + ", found " +
                             cursor_.Peek().Describe())
          .At(cursor_.Here());
    TRY(TableOptions(&table));
    if (cursor_.Peek().Is("LIKE"))
      return Unsupported("LIKE is not supported").At(cursor_.Here()).Remedy("write the columns out");
    const bool has_query = cursor_.Accept("AS");
    if (!has_query && table.columns.empty())
      return InvalidArgument("table " + table.name + " has no columns")
          .At(table.where)
          .Remedy("list them in parentheses after the name, or add AS SELECT ...");
    if (has_query && !table.columns.empty())
      return Unsupported("a column list together with AS SELECT is not supported")
          .At(table.where)
          .Remedy("leave the columns out, or create the table and write INSERT INTO");
    tailrace::sql::Insert insert{table.name, table.where, {}, {}};
    if (has_query) insert.query = TRY(QueryText());
    if (!skip) {
      TRY(CheckTable(table));
      out_->tables.push_back(std::move(table));
      if (has_query) out_->inserts.push_back(std::move(insert));
    }
    return EndStatement();
  }

  Status TableElement(Table* table) {
    if (table->columns.size() >= kColumnsMax)
      return Error(ErrorCode::kLimitExceeded, "a table has at most " + std::to_string(kColumnsMax) + " columns")
          .At(cursor_.Here());
    const SourceLocation where = cursor_.Here();
    const Token& token = cursor_.Peek();
    const Token& next = cursor_.Peek(1);
    if (token.Is("WATERMARK") && next.Is("FOR")) {
      cursor_.Next();
      cursor_.Next();
      if (table->watermark)
        return InvalidArgument("a table has one watermark only").At(where).Remedy("remove this one");
      Watermark watermark;
      watermark.column = TRY(cursor_.ExpectIdentifier("the time column"));
      if (cursor_.Peek().IsSymbol("."))
        return Unsupported("a watermark on a nested field is not supported")
            .At(where)
            .Remedy("add a computed column, as in ts AS " + watermark.column + ".field, and use that");
      TRY(cursor_.Expect("AS"));
      watermark.expression = TRY(Expression("the watermark's expression"));
      table->watermark = std::move(watermark);
      return {};
    }
    if (token.Is("PRIMARY") && next.Is("KEY")) {
      cursor_.Next();
      cursor_.Next();
      if (!table->primary_key.empty()) return InvalidArgument("a table has one primary key only").At(where);
      key_where_ = where;
      table->primary_key = TRY(NameList());
      return NotEnforced();
    }
    if (token.Is("UNIQUE") && next.IsSymbol("("))
      return Unsupported("UNIQUE is not supported").At(where).Remedy("use PRIMARY KEY (...) NOT ENFORCED");
    if (token.Is("CONSTRAINT")) {
      cursor_.Next();
      const std::string name = TRY(cursor_.ExpectIdentifier("the constraint's name"));
      if (cursor_.AcceptAll({"PRIMARY", "KEY"})) {
        if (!table->primary_key.empty()) return InvalidArgument("a table has one primary key only").At(where);
        key_where_ = where;
        table->primary_key = TRY(NameList());
        return NotEnforced();
      }
      if (!cursor_.Accept("CHECK")) return cursor_.Expected("CHECK or PRIMARY KEY");
      return AddCheck(table, name);
    }
    if (token.Is("CHECK") && next.IsSymbol("(")) {
      cursor_.Next();
      return AddCheck(table, "");
    }
    return ColumnElement(table);
  }

  Status NotEnforced() {
    if (cursor_.AcceptAll({"NOT", "ENFORCED"})) return {};
    return cursor_.Expected("NOT ENFORCED: keys are not checked, sinks upsert by them");
  }

  Status AddCheck(Table* table, std::string name) {
    TRY(cursor_.Expect("("));
    Check check;
    check.name = name.empty() ? "check " + std::to_string(table->checks.size() + 1) : std::move(name);
    for (const Check& other : table->checks)
      if (other.name == check.name)
        return InvalidArgument("constraint " + check.name + " is there twice")
            .At(cursor_.Here())
            .Remedy("rename one of them");
    check.condition = TRY(Expression("a condition"));
    TRY(cursor_.Expect(")"));
    if (cursor_.Peek().Is("NOT") && cursor_.Peek(1).Is("ENFORCED"))
      return Unsupported("CHECK ... NOT ENFORCED does nothing")
          .At(cursor_.Here())
          .Remedy("remove the check or NOT ENFORCED");
    cursor_.Accept("ENFORCED");
    table->checks.push_back(std::move(check));
    return {};
  }

  Status ColumnElement(Table* table) {
    Column column;
    column.where = cursor_.Here();
    column.name = TRY(cursor_.ExpectIdentifier("a column, WATERMARK, PRIMARY KEY, CONSTRAINT or CHECK"));
    for (const Column& other : table->columns)
      if (ToLower(other.name) == ToLower(column.name))
        return InvalidArgument("column " + column.name + " is there already, from line " +
                               std::to_string(other.where.line))
            .At(column.where)
            .Remedy("rename one of them");
    if (cursor_.Accept("AS")) {
      column.computed = TRY(Expression("an expression"));
    } else {
      column.type = TRY(ParseType(cursor_));
    }
    for (;;) {
      const SourceLocation where = cursor_.Here();
      if (cursor_.AcceptAll({"NOT", "NULL"})) {
        column.not_null = true;
      } else if (cursor_.Accept("NULL")) {
      } else if (cursor_.Accept("COMMENT")) {
        TRY(cursor_.ExpectString("the comment, a string"));
      } else if (!column.computed && cursor_.Accept("METADATA")) {
        column.metadata = column.name;
        if (cursor_.Accept("FROM"))
          column.metadata = TRY(cursor_.ExpectString("the metadata key, as in METADATA FROM 'offset'"));
        column.read_only = cursor_.Accept("VIRTUAL");
      } else if (cursor_.AcceptAll({"PRIMARY", "KEY"})) {
        if (!table->primary_key.empty()) return InvalidArgument("a table has one primary key only").At(where);
        key_where_ = where;
        table->primary_key = {column.name};
        TRY(NotEnforced());
      } else if (cursor_.Accept("CHECK")) {
        TRY(AddCheck(table, ""));
      } else if (cursor_.Peek().Is("CONSTRAINT")) {
        cursor_.Next();
        const std::string name = TRY(cursor_.ExpectIdentifier("the constraint's name"));
        if (!cursor_.Accept("CHECK")) return cursor_.Expected("CHECK");
        TRY(AddCheck(table, name));
      } else if (cursor_.Peek().Is("DEFAULT")) {
        return Unsupported("DEFAULT is not supported").At(where).Remedy("use COALESCE in the query");
      } else {
        break;
      }
    }
    if (!cursor_.Peek().IsSymbol(",") && !cursor_.Peek().IsSymbol(")"))
      return cursor_.Expected("',' or ')' after column " + column.name);
    table->columns.push_back(std::move(column));
    return {};
  }

  Result<std::vector<std::string>> NameList() {
    TRY(cursor_.Expect("("));
    std::vector<std::string> names;
    do {
      if (names.size() >= kColumnsMax)
        return Error(ErrorCode::kLimitExceeded, "a list has at most " + std::to_string(kColumnsMax) + " names")
            .At(cursor_.Here());
      names.push_back(TRY(cursor_.ExpectIdentifier("the name of a column")));
    } while (cursor_.Accept(","));
    TRY(cursor_.Expect(")"));
    return names;
  }

  Result<std::vector<std::string>> ColumnList(const Table& table, const char* what) {
    const SourceLocation where = cursor_.Here();
    std::vector<std::string> names = TRY(NameList());
    for (const std::string& name : names) TRY(CheckColumn(table, name, where, what));
    return names;
  }

  Status CheckColumn(const Table& table, const std::string& name, const SourceLocation& where, const char* what) {
    const data::Schema schema = table.schema();
    if (data::FindField(schema, name) >= 0) return {};
    return InvalidArgument(std::string(what) + ": column \"" + name + "\" does not exist in " + table.name + " (" +
                           data::DescribeFields(schema) + ")")
        .At(where);
  }

  Status CheckTable(const Table& table) {
    for (const std::string& name : table.primary_key) TRY(CheckColumn(table, name, key_where_, "PRIMARY KEY"));
    if (table.watermark)
      TRY(CheckColumn(table, table.watermark->column, table.watermark->expression.where, "WATERMARK"));
    if (!table.options.contains("connector"))
      return InvalidArgument("table " + table.name + " has no 'connector' option")
          .At(table.where)
          .Remedy("add WITH ('connector' = 'kafka', ...)");
    return {};
  }

  Status TableOptions(Table* table) {
    TRY(cursor_.Expect("("));
    do {
      const SourceLocation where = cursor_.Here();
      const std::string key = TRY(cursor_.ExpectString("an option, as in 'connector' = 'kafka'"));
      TRY(cursor_.Expect("="));
      Option option;
      option.where = cursor_.Here();
      option.value = TRY(cursor_.ExpectString("the value of '" + key + "', a string"));
      if (!table->options.emplace(key, std::move(option)).second)
        return InvalidArgument("option '" + key + "' is there twice").At(where).Remedy("remove one of them");
    } while (cursor_.Accept(","));
    if (!cursor_.Accept(")")) return cursor_.Expected("',' or ')' after an option");
    return {};
  }

  Status CreateView() {
    bool skip = false;
    View view;
    view.name = TRY(NewName("view", &skip));
    if (cursor_.Peek().IsSymbol("(")) view.columns = TRY(NameList());
    if (cursor_.Accept("COMMENT")) TRY(cursor_.ExpectString("the comment, a string"));
    TRY(cursor_.Expect("AS"));
    view.query = TRY(QueryText());
    if (!skip) out_->views.push_back(std::move(view));
    return EndStatement();
  }

  Status Insert() {
    cursor_.Next();
    if (cursor_.Peek().Is("OVERWRITE"))
      return Unsupported("INSERT OVERWRITE is not supported: a stream only adds")
          .At(cursor_.Here())
          .Remedy("use INSERT INTO");
    TRY(cursor_.Expect("INTO"));
    tailrace::sql::Insert insert;
    insert.where = cursor_.Here();
    insert.target = TRY(cursor_.ExpectIdentifier("the table to insert into"));
    const Table* table = out_->FindTable(insert.target);
    if (!table) {
      std::string known;
      for (const Table& other : out_->tables) known += (known.empty() ? "" : ", ") + other.name;
      if (std::any_of(out_->views.begin(), out_->views.end(),
                      [&](const View& view) { return view.name == insert.target; }))
        return InvalidArgument(insert.target + " is a view and takes no rows")
            .At(insert.where)
            .Remedy("insert into a table");
      return InvalidArgument("table \"" + insert.target + "\" does not exist (" +
                             (known.empty() ? "the file creates none before this line" : "there are: " + known) + ")")
          .At(insert.where);
    }
    if (cursor_.Peek().Is("PARTITION"))
      return Unsupported("INSERT INTO ... PARTITION is not supported")
          .At(cursor_.Here())
          .Remedy("select the partition's columns");
    if (cursor_.Peek().IsSymbol("(") && !cursor_.Peek(1).Is("SELECT") && !cursor_.Peek(1).Is("WITH") &&
        !cursor_.Peek(1).IsSymbol("(")) {
      insert.columns = TRY(ColumnList(*table, "INSERT INTO"));
      for (size_t i = 0; i < insert.columns.size(); i++)
        if (std::find(insert.columns.begin(), insert.columns.begin() + static_cast<long>(i), insert.columns[i]) !=
            insert.columns.begin() + static_cast<long>(i))
          return InvalidArgument("column " + insert.columns[i] + " is there twice").At(insert.where);
    }
    insert.query = TRY(QueryText());
    out_->inserts.push_back(std::move(insert));
    return {};
  }

  // The text up to the ';' that ends the statement.
  Result<SqlText> QueryText() {
    const Token first = cursor_.Peek();
    if (!first.Is("SELECT") && !first.Is("WITH") && !first.Is("VALUES") && !first.IsSymbol("(") && !first.Is("FROM"))
      return cursor_.Expected("a query (SELECT, WITH or VALUES)");
    size_t end = first.begin;
    while (!cursor_.AtEnd() && !cursor_.Peek().IsSymbol(";")) end = cursor_.Next().end;
    return SqlText{std::string(source_.text().substr(first.begin, end - first.begin)), source_.At(first.begin)};
  }

  // The text up to a ',' or ')' that is not inside parentheses, or to a word that ends a column's expression.
  Result<SqlText> Expression(std::string_view what) {
    const Token first = cursor_.Peek();
    size_t end = first.begin;
    int depth = 0;
    for (;;) {
      const Token& token = cursor_.Peek();
      if (token.kind == Token::Kind::kEnd || token.IsSymbol(";"))
        return cursor_.Expected("')' of the table's definition");
      if (token.IsSymbol("(") || token.IsSymbol("[") || token.IsSymbol("{")) depth++;
      if (token.IsSymbol(")") || token.IsSymbol("]") || token.IsSymbol("}")) {
        if (depth == 0) break;
        depth--;
      }
      if (depth == 0 && (token.IsSymbol(",") || token.Is("COMMENT"))) break;
      end = cursor_.Next().end;
    }
    if (end == first.begin) return cursor_.Expected(what);
    return SqlText{std::string(source_.text().substr(first.begin, end - first.begin)), source_.At(first.begin)};
  }

  const SourceText& source_;
  TokenCursor cursor_;
  Script* out_;
  SourceLocation key_where_;  // of the table being parsed
};

}  // namespace

Result<Script> ParseScript(const std::string& file, const std::string& text) {
  Script script;
  script.file = file;
  script.text = text;
  const SourceText source({file, 1, 1}, text);
  std::vector<Token> tokens = TRY(Tokenize(source));
  TRY(ScriptParser(source, std::move(tokens), &script).Run());
  return script;
}

Result<std::string> SubstituteVariables(const std::string& file, const std::string& text,
                                        const std::map<std::string, std::string>& variables) {
  const SourceText source({file, 1, 1}, text);
  std::string out;
  out.reserve(text.size());
  char quote = 0;
  for (size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    if (quote) {
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '"' || c == '`') {
      quote = c;
    } else if (text.compare(i, 2, "--") == 0) {  // a comment may speak of variables that are not there
      const size_t end = std::min(text.find('\n', i), text.size());
      out.append(text, i, end - i);
      i = end - 1;
      continue;
    } else if (text.compare(i, 2, "/*") == 0) {
      const size_t close = text.find("*/", i + 2);
      const size_t end = close == std::string::npos ? text.size() : close + 2;
      out.append(text, i, end - i);
      i = end - 1;
      continue;
    }
    if (text.compare(i, 2, "${") != 0) {
      out += c;
      continue;
    }
    const size_t close = text.find('}', i);
    if (close == std::string::npos)
      return InvalidArgument("'${' is not closed").At(source.At(i)).Remedy("write ${NAME}");
    std::string name = text.substr(i + 2, close - i - 2);
    std::string fallback;
    const size_t dash = name.find(":-");
    if (dash != std::string::npos) {
      fallback = name.substr(dash + 2);
      name.resize(dash);
    }
    const auto found = variables.find(name);
    if (found != variables.end()) {
      out += found->second;
    } else if (dash != std::string::npos) {
      out += fallback;
    } else {
      return InvalidArgument("variable " + name + " is not set")
          .At(source.At(i))
          .Remedy("set " + name + ", or write ${" + name + ":-default}");
    }
    i = close;
  }
  return out;
}

}  // namespace tailrace::sql
