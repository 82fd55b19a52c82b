#include "sql/query_rewriter.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/check.h"

namespace tailrace::sql {

namespace {

constexpr int64_t kWindowsOfARowMax = 10'000;
constexpr int kNestingMax = 200;

std::string UnitName(std::string_view word) {
  std::string unit = ToLower(word);
  if (unit.size() > 1 && unit.back() == 's') unit.pop_back();
  return unit;
}

// Java's date patterns (yyyy-MM-dd HH:mm:ss.SSS, 'quoted') in strftime's notation.
std::string StrftimeFormat(std::string_view java) {
  static constexpr std::pair<std::string_view, std::string_view> kFields[] = {
      {"yyyy", "%Y"}, {"yy", "%y"},   {"MMMM", "%B"}, {"MMM", "%b"}, {"MM", "%m"}, {"M", "%-m"}, {"dd", "%d"},
      {"d", "%-d"},   {"HH", "%H"},   {"H", "%-H"},   {"hh", "%I"},  {"mm", "%M"}, {"ss", "%S"}, {"SSSSSS", "%f"},
      {"SSS", "%g"},  {"EEEE", "%A"}, {"EEE", "%a"},  {"a", "%p"},   {"DDD", "%j"}};
  std::string out;
  for (size_t i = 0; i < java.size();) {
    if (java[i] == '\'') {
      const size_t close = java.find('\'', i + 1);
      if (close == i + 1) out += '\'';
      else out += java.substr(i + 1, close == std::string_view::npos ? close : close - i - 1);
      i = close == std::string_view::npos ? java.size() : close + 1;
      continue;
    }
    size_t taken = 0;
    for (const auto& [from, to] : kFields)
      if (java.substr(i, from.size()) == from) {
        out += to;
        taken = from.size();
        break;
      }
    if (taken == 0) {
      if (java[i] == '%') out += '%';
      out += java[i];
      taken = 1;
    }
    i += taken;
  }
  return out;
}

// Functions whose last argument is such a pattern, in two pieces around the arguments.
struct PatternFunction {
  std::string_view name, before, after;
};
constexpr PatternFunction kPatternFunctions[] = {
    {"TO_TIMESTAMP", "strptime(", ")"},
    {"TO_DATE", "CAST(strptime(", ") AS DATE)"},
    {"DATE_FORMAT", "strftime(", ")"},
    {"FROM_UNIXTIME", "strftime(to_timestamp_ltz(0, 0) + INTERVAL '1' SECOND * ", ")"},
};

int64_t UnitMicros(const std::string& unit) {
  static const auto* const kUnits = new std::map<std::string, int64_t>{
      {"microsecond", 1},      {"millisecond", 1000},   {"second", 1'000'000},       {"minute", 60'000'000},
      {"hour", 3'600'000'000}, {"day", 86'400'000'000}, {"week", 7 * 86'400'000'000}};
  const auto found = kUnits->find(unit);
  return found == kUnits->end() ? 0 : found->second;
}

class Rewriter {
 public:
  Rewriter(std::shared_ptr<const SourceText> source, std::vector<Token> tokens, RelationScope* scope)
      : source_(std::move(source)), tokens_(std::move(tokens)), scope_(scope) {}

  Result<MappedText> Run() { return Range(0, tokens_.size() - 1, {}, 0); }

 private:
  using Named = std::map<std::string, int>;  // CTEs in scope, names in lower case

  const Token& At(size_t i) const { return tokens_[std::min(i, tokens_.size() - 1)]; }
  SourceLocation Where(size_t i) const { return source_->At(At(i).begin); }
  Error Expected(size_t i, std::string_view what) const {
    const Token& token = At(i);
    const std::string found = token.kind == Token::Kind::kEnd ? "the end of the query" : token.Describe();
    return InvalidArgument("expected " + std::string(what) + ", found " + found).At(Where(i));
  }

  // The index of the ')' that closes the '(' at `open`.
  Result<size_t> Close(size_t open) const {
    int depth = 0;
    for (size_t i = open; i + 1 < tokens_.size(); i++) {
      if (tokens_[i].IsSymbol("(")) depth++;
      if (tokens_[i].IsSymbol(")") && --depth == 0) return i;
    }
    return InvalidArgument("the parenthesis that opens here is not closed").At(Where(open));
  }

  // Rewrites tokens [begin, end). CTE names come in and stay valid to the end of the range.
  Result<MappedText> Range(size_t begin, size_t end, Named named, int depth) {
    if (depth > kNestingMax)
      return Error(ErrorCode::kLimitExceeded, "queries nest at most " + std::to_string(kNestingMax) + " deep")
          .At(Where(begin));
    MappedText out;
    for (size_t i = begin; i < end;) {
      const Token& token = tokens_[i];
      if (i > begin) {
        const bool apart = tokens_[i - 1].end != token.begin;
        if (apart) out.Add(" ");
      }
      const bool call = At(i + 1).IsSymbol("(");
      if (token.Is("WITH") && (i == begin || tokens_[i - 1].IsSymbol("("))) {
        i = TRY(With(i, end, &named, &out, depth));
        continue;
      }
      if (token.Is("TABLE") && call && IsWindowName(At(i + 2)) && At(i + 3).IsSymbol("(")) {
        const size_t close = TRY(Close(i + 1));
        const size_t last = TRY(Window(i + 2, named, &out));
        if (last != close) return Expected(last, "')' after the window function");
        i = close + 1;
        continue;
      }
      if (IsWindowName(token) && call) {
        if (!At(i + 2).Is("TABLE") && !At(i + 2).Is("DATA"))
          return Unsupported(ToUpper(token.text) + " in this place (a group window function) is not supported")
              .At(Where(i))
              .Remedy("use FROM TABLE(" + ToUpper(token.text) +
                      "(TABLE t, DESCRIPTOR(time_column), ...)) and GROUP BY window_start, window_end");
        i = TRY(Window(i, named, &out));
        continue;
      }
      for (const char* name : {"TUMBLE_START", "TUMBLE_END", "TUMBLE_ROWTIME", "HOP_START", "HOP_END", "HOP_ROWTIME"})
        if (token.Is(name) && call)
          return Unsupported(std::string(name) + " is not supported")
              .At(Where(i))
              .Remedy("use window_start and window_end of TABLE(TUMBLE(...))");
      if (token.Is("MATCH_RECOGNIZE")) return Unsupported("MATCH_RECOGNIZE is not supported").At(Where(i));
      if (token.Is("FOR") && At(i + 1).Is("SYSTEM_TIME"))
        return Unsupported("temporal and lookup joins (FOR SYSTEM_TIME AS OF) are not supported").At(Where(i));
      if (call && token.kind == Token::Kind::kWord) {
        const PatternFunction* function = nullptr;
        for (const PatternFunction& each : kPatternFunctions)
          if (token.Is(each.name)) function = &each;
        const size_t close = function ? TRY(Close(i + 1)) : 0;
        if (function && close >= i + 5 && At(close - 1).kind == Token::Kind::kString && At(close - 2).IsSymbol(",")) {
          out.Add(function->before, source_, token.begin);
          out.Add(TRY(Range(i + 2, close - 1, named, depth + 1)));
          out.Add(" " + QuoteString(StrftimeFormat(At(close - 1).text)), source_, At(close - 1).begin);
          out.Add(function->after);
          i = close + 1;
          continue;
        }
      }
      if (call &&
          token.Is("REGEXP_EXTRACT")) {  // null where nothing matches, as in Flink; DuckDB gives an empty string
        const size_t close = TRY(Close(i + 1));
        out.Add("nullif(regexp_extract(", source_, token.begin);
        out.Add(TRY(Range(i + 2, close, named, depth + 1)));
        out.Add("), '')");
        i = close + 1;
        continue;
      }
      if (call && token.Is("LAST_VALUE")) {  // in Flink the last that is not null; in DuckDB for OVER only
        const size_t close = TRY(Close(i + 1));
        if (!At(close + 1).Is("OVER")) {
          const MappedText value = TRY(Range(i + 2, close, named, depth + 1));
          out.Add("last(", source_, token.begin).Add(value).Add(") FILTER (WHERE (").Add(value).Add(") IS NOT NULL");
          i = close + 1;
          if (At(i).Is("FILTER") && At(i + 1).IsSymbol("(") && At(i + 2).Is("WHERE")) {
            const size_t end_of_filter = TRY(Close(i + 1));
            out.Add(" AND (").Add(TRY(Range(i + 3, end_of_filter, named, depth + 1))).Add(")");
            i = end_of_filter + 1;
          }
          out.Add(")");
          continue;
        }
      }
      if (token.IsSymbol("(")) {
        const size_t close = TRY(Close(i));
        out.Copy(source_, token.begin, token.end);
        if (i + 1 < close && tokens_[i + 1].begin != token.end) out.Add(" ");
        const std::optional<std::string> unit = TruncationUnit(i, close);
        out.Add(TRY(Range(i + 1, unit ? close - 2 : close, named, depth + 1)));
        out.Copy(source_, tokens_[close].begin, tokens_[close].end);
        i = close + 1;
        continue;
      }
      i = Spelling(i, call, &out);
    }
    return out;
  }

  static bool IsWindowName(const Token& token) {
    return token.Is("TUMBLE") || token.Is("HOP") || token.Is("CUMULATE") || token.Is("SESSION");
  }

  // FLOOR(x TO HOUR): the unit, where the parentheses open..close are of that form.
  std::optional<std::string> TruncationUnit(size_t open, size_t close) const {
    if (open == 0 || close < open + 4 || !At(open - 1).Is("FLOOR")) return {};
    if (!At(close - 2).Is("TO") || At(close - 1).kind != Token::Kind::kWord) return {};
    return UnitName(At(close - 1).text);
  }

  // One token, or a few, in DuckDB's spelling; returns the next index.
  size_t Spelling(size_t i, bool call, MappedText* out) {
    const Token& token = tokens_[i];
    if (i == unit_token_) {
      out->Add(QuoteString(UnitName(token.text)), source_, token.begin);
      return i + 1;
    }
    if (token.kind == Token::Kind::kQuoted) {
      out->Add(QuoteIdentifier(token.text), source_, token.begin);
      return i + 1;
    }
    if (token.kind != Token::Kind::kWord) {
      out->Copy(source_, token.begin, token.end);
      return i + 1;
    }
    const bool precision = call && At(i + 2).kind == Token::Kind::kNumber && At(i + 3).IsSymbol(")");
    auto local_zone = [&](size_t at) { return At(at).Is("WITH") && At(at + 1).Is("LOCAL"); };
    if (token.Is("TIMESTAMP") && (precision || local_zone(i + 1))) {  // TIMESTAMP(3): all are microseconds here
      size_t next = precision ? i + 4 : i + 1;
      const bool zoned = local_zone(next);
      if (zoned) next += 4;
      out->Add(zoned ? "TIMESTAMPTZ" : "TIMESTAMP", source_, token.begin);
      return next;
    }
    if (token.Is("TIMESTAMP_LTZ")) {
      out->Add("TIMESTAMPTZ", source_, token.begin);
      return precision ? i + 4 : i + 1;
    }
    if (token.Is("TIME") && precision) {
      out->Add("TIME", source_, token.begin);
      return i + 4;
    }
    if (call && (token.Is("APPROX_QUANTILE") || token.Is("PERCENTILE"))) {  // exact here: docs/sql.md
      out->Add("quantile_cont", source_, token.begin);
      return i + 1;
    }
    if (call && token.Is("FIRST_VALUE")) {  // an aggregate in Flink, for OVER only in DuckDB
      const auto close = Close(i + 1);
      if (close.ok() && !At(*close + 1).Is("OVER")) {
        out->Add("any_value", source_, token.begin);
        return i + 1;
      }
    }
    if (call && (token.Is("TIMESTAMPDIFF") || token.Is("TIMESTAMPADD")) && At(i + 2).kind == Token::Kind::kWord &&
        At(i + 3).IsSymbol(",")) {
      out->Add(std::string(token.Is("TIMESTAMPDIFF") ? "date_sub" : "__timestamp_add"), source_, token.begin);
      unit_token_ = i + 2;
      return i + 1;
    }
    if (call && token.Is("FLOOR")) {
      const auto close = Close(i + 1);
      if (close.ok())
        if (const auto unit = TruncationUnit(i + 1, *close)) {
          out->Add("__truncate_to_" + *unit, source_, token.begin);
          return i + 1;
        }
    }
    out->Copy(source_, token.begin, token.end);
    return i + 1;
  }

  // WITH name [(columns)] AS [NOT MATERIALIZED] (query), ...: every query becomes a relation. Returns the index after.
  Result<size_t> With(size_t i, size_t end, Named* named, MappedText* out, int depth) {
    if (!scope_) return Unsupported("WITH is not supported here").At(Where(i));
    i++;
    if (At(i).Is("RECURSIVE")) return Unsupported("WITH RECURSIVE is not supported on a stream").At(Where(i));
    out->Add("WITH ");
    for (bool first = true;; first = false) {
      if (!At(i).IsIdentifier()) return Expected(i, "the name of a query");
      const Token& name = At(i);
      i++;
      std::vector<std::string> columns;
      if (At(i).IsSymbol("(")) {
        do {
          i++;
          if (!At(i).IsIdentifier()) return Expected(i, "the name of a column");
          columns.push_back(At(i++).text);
        } while (At(i).IsSymbol(","));
        if (!At(i).IsSymbol(")")) return Expected(i, "')'");
        i++;
      }
      if (!At(i).Is("AS")) return Expected(i, "AS");
      i++;
      if (At(i).Is("NOT") && At(i + 1).Is("MATERIALIZED")) i += 2;
      else if (At(i).Is("MATERIALIZED")) i++;
      if (!At(i).IsSymbol("(")) return Expected(i, "'(' before the query " + name.text);
      const size_t close = TRY(Close(i));
      if (close > end) return Expected(end, "')'");
      MappedText body = Prefix(*named);
      body.Add(TRY(Range(i + 1, close, *named, depth + 1)));
      if (!named->empty()) body.Add(")");
      const int id = TRY(scope_->AddQuery(name.text, columns, std::move(body)));
      (*named)[ToLower(name.text)] = id;
      if (!first) out->Add(", ");
      out->Add(QuoteIdentifier(name.text), source_, name.begin);
      out->Add(" AS NOT MATERIALIZED (SELECT * FROM " + RelationCall(id) + ")");
      i = close + 1;
      if (!At(i).IsSymbol(",")) break;
      i++;
    }
    out->Add(" ");
    return i;
  }

  // What makes the CTEs so far visible to a query that stands alone; the caller closes the parenthesis.
  static MappedText Prefix(const Named& named) {
    MappedText out;
    if (named.empty()) return out;
    bool first = true;
    for (const auto& [name, id] : named) {
      out.Add((first ? "WITH " : ", ") + QuoteIdentifier(name) + " AS NOT MATERIALIZED (SELECT * FROM " +
              RelationCall(id) + ")");
      first = false;
    }
    out.Add(" SELECT * FROM (");
    return out;
  }

  // NAME(TABLE t, DESCRIPTOR(c), ...) at `i`; returns the index after its ')'.
  Result<size_t> Window(size_t i, const Named& named, MappedText* out) {
    if (!scope_) return Unsupported("a window function is not supported here").At(Where(i));
    WindowCall call;
    call.where = Where(i);
    call.function = ToUpper(At(i).text);
    if (call.function == "CUMULATE" || call.function == "SESSION")
      return Unsupported(call.function + " windows are not supported").At(call.where).Remedy("use TUMBLE or HOP");
    const bool hop = call.function == "HOP";
    const size_t close = TRY(Close(i + 1));
    std::string table;
    size_t table_at = 0;
    std::map<std::string, std::pair<int64_t, size_t>> intervals;  // SIZE, SLIDE, OFFSET
    const std::vector<std::string> order =
        hop ? std::vector<std::string>{"SLIDE", "SIZE", "OFFSET"} : std::vector<std::string>{"SIZE", "OFFSET"};
    size_t position = 0;  // of unnamed intervals
    size_t at = i + 2;
    while (at < close) {
      std::string parameter;
      if (At(at).kind == Token::Kind::kWord && At(at + 1).IsSymbol("=>")) {
        parameter = ToUpper(At(at).text);
        at += 2;
      }
      if (At(at).Is("TABLE")) {
        if (!table.empty()) return Expected(at, "DESCRIPTOR or INTERVAL");
        if (!parameter.empty() && parameter != "DATA") return Expected(at, "DATA => TABLE t");
        at++;
        if (!At(at).IsIdentifier())
          return Expected(at, "the name of a table, view or WITH query (for a subquery, give it a name in WITH)");
        table = At(at).text;
        table_at = at++;
        if (table.empty() || At(at).IsSymbol(".")) return Expected(at, "a name without a database");
      } else if (At(at).Is("DESCRIPTOR")) {
        if (!At(at + 1).IsSymbol("(") || !At(at + 2).IsIdentifier() || !At(at + 3).IsSymbol(")"))
          return Expected(at + 1, "DESCRIPTOR(time_column)");
        call.time_column = At(at + 2).text;
        call.time_where = Where(at + 2);
        at += 4;
      } else if (At(at).Is("INTERVAL")) {
        if (parameter.empty()) {
          if (position >= order.size()) return Expected(at, "')'");
          parameter = order[position++];
        }
        const size_t start = at;
        const int64_t micros = TRY(Interval(&at));
        if (std::find(order.begin(), order.end(), parameter) == order.end())
          return InvalidArgument(call.function + " has no parameter " + parameter)
              .At(Where(start))
              .Remedy(hop ? "it takes DATA, TIMECOL, SLIDE, SIZE and OFFSET"
                          : "it takes DATA, TIMECOL, SIZE and OFFSET");
        if (!intervals.emplace(parameter, std::pair(micros, start)).second)
          return InvalidArgument(parameter + " is there twice").At(Where(start));
      } else {
        return Expected(at, "TABLE t, DESCRIPTOR(time_column) or an INTERVAL");
      }
      if (at == close) break;
      if (!At(at).IsSymbol(",")) return Expected(at, "',' or ')'");
      at++;
    }
    const char* usage = hop ? "write HOP(TABLE t, DESCRIPTOR(time_column), slide, size)"
                            : "write TUMBLE(TABLE t, DESCRIPTOR(time_column), INTERVAL '10' SECOND)";
    if (table.empty() || call.time_column.empty() || !intervals.contains("SIZE") ||
        (hop && !intervals.contains("SLIDE")))
      return InvalidArgument(call.function + " lacks a parameter").At(call.where).Remedy(usage);
    call.spec.kind = hop ? WindowKind::kHop : WindowKind::kTumble;
    call.spec.size_us = intervals["SIZE"].first;
    call.spec.slide_us = hop ? intervals["SLIDE"].first : call.spec.size_us;
    call.spec.offset_us = intervals.contains("OFFSET") ? intervals["OFFSET"].first : 0;
    if (call.spec.size_us <= 0 || call.spec.slide_us <= 0)
      return InvalidArgument("a window's size and slide are more than 0").At(Where(intervals["SIZE"].second));
    if (call.spec.size_us % call.spec.slide_us != 0)
      return InvalidArgument("the size of a HOP window is a multiple of its slide")
          .At(Where(intervals["SIZE"].second))
          .Remedy("mind the order: HOP(TABLE t, DESCRIPTOR(c), slide, size)");
    if (call.spec.size_us / call.spec.slide_us > kWindowsOfARowMax)
      return Error(ErrorCode::kLimitExceeded,
                   "a row lies in at most " + std::to_string(kWindowsOfARowMax) + " HOP windows")
          .At(Where(intervals["SIZE"].second))
          .Remedy("use a larger slide");
    const auto query = named.find(ToLower(table));
    const int input = query != named.end() ? query->second : TRY(scope_->Find(table, Where(table_at)));
    const int id = TRY(scope_->AddWindow(call, input));
    out->Add(RelationCall(id), source_, At(i).begin);
    return close + 1;
  }

  // INTERVAL '10' SECOND, INTERVAL 10 SECOND, INTERVAL '10 seconds', in microseconds.
  Result<int64_t> Interval(size_t* at) const {
    const size_t start = *at;
    size_t i = *at + 1;
    const Token& amount = At(i);
    if (amount.kind != Token::Kind::kString && amount.kind != Token::Kind::kNumber)
      return Expected(i, "an amount, as in INTERVAL '10' SECOND");
    i++;
    std::string number = amount.text, unit;
    if (const size_t space = number.find_first_of(" \t"); space != std::string::npos) {
      unit = UnitName(number.substr(number.find_first_not_of(" \t", space)));
      number.resize(space);
    }
    if (unit.empty()) {
      if (At(i).kind != Token::Kind::kWord) return Expected(i, "SECOND, MINUTE, HOUR or DAY");
      unit = UnitName(At(i).text);
      i++;
      if (At(i).IsSymbol("(")) i += 3;  // SECOND(3)
    }
    const int64_t micros = UnitMicros(unit);
    if (micros == 0)
      return InvalidArgument("a window can't be measured in '" + unit + "'")
          .At(Where(i - 1))
          .Remedy("use MILLISECOND, SECOND, MINUTE, HOUR, DAY or WEEK");
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc() || end != number.data() + number.size() || !std::isfinite(value) ||
        std::fabs(value) * static_cast<double>(micros) > 1e17)
      return InvalidArgument("'" + number + "' is not an amount of time").At(Where(start + 1));
    *at = i;
    return static_cast<int64_t>(std::llround(value * static_cast<double>(micros)));
  }

  std::shared_ptr<const SourceText> source_;
  std::vector<Token> tokens_;
  size_t unit_token_ = SIZE_MAX;  // to be written as a string
  RelationScope* scope_;
};

Result<MappedText> Rewrite(const SqlText& text, RelationScope* scope) {
  auto source = std::make_shared<const SourceText>(text.where, text.text);
  std::vector<Token> tokens = TRY(Tokenize(*source));
  return Rewriter(source, std::move(tokens), scope).Run();
}

}  // namespace

std::string RelationCall(int id) { return "__relation(" + std::to_string(id) + ")"; }

Result<MappedText> RewriteQuery(const SqlText& query, RelationScope* scope) { return Rewrite(query, scope); }
Result<MappedText> RewriteExpression(const SqlText& expression) { return Rewrite(expression, nullptr); }

SourceLocation FindKeyword(const SqlText& text, std::initializer_list<std::string_view> keywords) {
  const SourceText source(text.where, text.text);
  const auto tokens = Tokenize(source);
  if (tokens.ok())
    for (const Token& token : *tokens)
      for (std::string_view keyword : keywords)
        if (token.Is(keyword)) return source.At(token.begin);
  return text.where;
}

}  // namespace tailrace::sql
