#include "sql/type_parser.h"

#include <charconv>
#include <map>
#include <optional>
#include <set>

namespace tailrace::sql {

using data::Type;
using data::TypeId;

bool TokenCursor::Accept(std::string_view wanted) {
  if (!Peek().Is(wanted) && !Peek().IsSymbol(wanted)) return false;
  Next();
  return true;
}

bool TokenCursor::AcceptAll(std::initializer_list<std::string_view> keywords) {
  size_t ahead = 0;
  for (std::string_view keyword : keywords)
    if (!Peek(ahead++).Is(keyword)) return false;
  for (size_t i = 0; i < ahead; i++) Next();
  return true;
}

Status TokenCursor::Expect(std::string_view wanted) {
  if (Accept(wanted)) return {};
  return Expected("'" + std::string(wanted) + "'");
}

Result<std::string> TokenCursor::ExpectIdentifier(std::string_view what) {
  if (!Peek().IsIdentifier()) return Expected(what);
  return Next().text;
}

Result<std::string> TokenCursor::ExpectString(std::string_view what) {
  if (Peek().kind != Token::Kind::kString) return Expected(what);
  return Next().text;
}

bool TokenCursor::AcceptCloseAngle() {
  Token& token = tokens_[at_];
  if (token.IsSymbol(">")) {
    Next();
    return true;
  }
  if (!token.IsSymbol(">>")) return false;
  token.text = ">";
  token.begin++;
  return true;
}

Error TokenCursor::Expected(std::string_view what) const {
  return InvalidArgument("expected " + std::string(what) + ", found " + Peek().Describe()).At(Here());
}

namespace {

constexpr int kTypeDepthMax = 32;
constexpr size_t kFieldsMax = 2048;

const std::map<std::string, TypeId>& SimpleTypes() {
  static const auto* const kTypes = new std::map<std::string, TypeId>{
      {"BOOLEAN", TypeId::kBoolean},
      {"BOOL", TypeId::kBoolean},
      {"TINYINT", TypeId::kTinyInt},
      {"INT1", TypeId::kTinyInt},
      {"SMALLINT", TypeId::kSmallInt},
      {"INT2", TypeId::kSmallInt},
      {"SHORT", TypeId::kSmallInt},
      {"INT", TypeId::kInteger},
      {"INTEGER", TypeId::kInteger},
      {"INT4", TypeId::kInteger},
      {"SIGNED", TypeId::kInteger},
      {"BIGINT", TypeId::kBigInt},
      {"INT8", TypeId::kBigInt},
      {"LONG", TypeId::kBigInt},
      {"HUGEINT", TypeId::kHugeInt},
      {"FLOAT", TypeId::kFloat},
      {"REAL", TypeId::kFloat},
      {"FLOAT4", TypeId::kFloat},
      {"DOUBLE", TypeId::kDouble},
      {"FLOAT8", TypeId::kDouble},
      {"STRING", TypeId::kVarchar},
      {"TEXT", TypeId::kVarchar},
      {"VARCHAR", TypeId::kVarchar},
      {"CHAR", TypeId::kVarchar},
      {"CHARACTER", TypeId::kVarchar},
      {"BPCHAR", TypeId::kVarchar},
      {"JSON", TypeId::kVarchar},
      {"BYTES", TypeId::kBlob},
      {"VARBINARY", TypeId::kBlob},
      {"BINARY", TypeId::kBlob},
      {"BLOB", TypeId::kBlob},
      {"BYTEA", TypeId::kBlob},
      {"DATE", TypeId::kDate},
      {"TIME", TypeId::kTime},
      {"TIMESTAMP", TypeId::kTimestamp},
      {"DATETIME", TypeId::kTimestamp},
      {"TIMESTAMP_LTZ", TypeId::kTimestampTz},
      {"TIMESTAMPTZ", TypeId::kTimestampTz},
      {"INTERVAL", TypeId::kInterval},
      {"UUID", TypeId::kUuid},
  };
  return *kTypes;
}

const std::map<std::string, std::string>& RefusedTypes() {
  static const auto* const kTypes = new std::map<std::string, std::string>{
      {"UTINYINT", "use SMALLINT"},
      {"USMALLINT", "use INT"},
      {"UINTEGER", "use BIGINT"},
      {"UBIGINT", "use DECIMAL(20, 0)"},
      {"UHUGEINT", "use DECIMAL(38, 0)"},
      {"MULTISET", "use ARRAY"},
      {"RAW", "use BYTES"},
      {"ENUM", "use STRING with a CHECK"},
      {"UNION", "use ROW"},
      {"BIT", "use BYTES"},
  };
  return *kTypes;
}

// (n) or (p, s); the numbers are checked against 0..limit.
Result<std::vector<int>> Parameters(TokenCursor& cursor, size_t most, int limit) {
  std::vector<int> numbers;
  if (!cursor.Accept("(")) return numbers;
  do {
    const Token& token = cursor.Peek();
    int value = 0;
    const auto [end, error] = std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
    if (token.kind != Token::Kind::kNumber || error != std::errc() || end != token.text.data() + token.text.size() ||
        value > limit)
      return cursor.Expected("a whole number from 0 to " + std::to_string(limit));
    cursor.Next();
    numbers.push_back(value);
  } while (numbers.size() < most && cursor.Accept(","));
  TRY(cursor.Expect(")"));
  return numbers;
}

Result<Type> ParseNested(TokenCursor& cursor, int depth);

Result<std::vector<data::Field>> ParseFields(TokenCursor& cursor, int depth) {
  const bool angle = cursor.Accept("<");
  if (!angle) TRY(cursor.Expect("("));
  std::vector<data::Field> fields;
  std::set<std::string> seen;
  do {
    const SourceLocation where = cursor.Here();
    std::string name = TRY(cursor.ExpectIdentifier("the name of a field"));
    if (!seen.insert(ToLower(name)).second)
      return InvalidArgument("field " + name + " is there twice").At(where).Remedy("rename one of them");
    if (fields.size() >= kFieldsMax)
      return Error(ErrorCode::kLimitExceeded, "a ROW has at most " + std::to_string(kFieldsMax) + " fields").At(where);
    cursor.Accept(":");  // Spark's STRUCT<a: INT>
    Type type = TRY(ParseNested(cursor, depth + 1));
    if (cursor.Accept("NOT")) TRY(cursor.Expect("NULL"));
    else cursor.Accept("NULL");
    if (cursor.Peek().kind == Token::Kind::kString) cursor.Next();  // a field's comment
    fields.push_back({std::move(name), std::move(type)});
  } while (cursor.Accept(","));
  if (angle ? !cursor.AcceptCloseAngle() : !cursor.Accept(")"))
    return cursor.Expected(angle ? "',' or '>' after a field" : "',' or ')' after a field");
  return fields;
}

Result<Type> ParseOne(TokenCursor& cursor, int depth) {
  const Token token = cursor.Peek();
  const SourceLocation where = cursor.Here();
  if (token.kind != Token::Kind::kWord) return cursor.Expected("a type");
  const std::string name = ToUpper(token.text);
  cursor.Next();

  if (name == "ROW" || name == "STRUCT") return Type::Struct(TRY(ParseFields(cursor, depth)));
  if (name == "ARRAY") {
    TRY(cursor.Expect("<"));
    Type element = TRY(ParseNested(cursor, depth + 1));
    cursor.AcceptAll({"NOT", "NULL"});
    if (!cursor.AcceptCloseAngle()) return cursor.Expected("'>' after the array's element type");
    return Type::List(std::move(element));
  }
  if (name == "MAP") {
    const bool angle = cursor.Accept("<");
    if (!angle) TRY(cursor.Expect("("));
    Type key = TRY(ParseNested(cursor, depth + 1));
    cursor.AcceptAll({"NOT", "NULL"});
    TRY(cursor.Expect(","));
    Type value = TRY(ParseNested(cursor, depth + 1));
    cursor.AcceptAll({"NOT", "NULL"});
    if (angle ? !cursor.AcceptCloseAngle() : !cursor.Accept(")")) return cursor.Expected("the end of MAP");
    return Type::Map(std::move(key), std::move(value));
  }
  if (name == "DECIMAL" || name == "NUMERIC" || name == "DEC") {
    const std::vector<int> numbers = TRY(Parameters(cursor, 2, 38));
    const int width = numbers.empty() ? 10 : numbers[0];  // Flink's default: DECIMAL(10, 0)
    const int scale = numbers.size() < 2 ? 0 : numbers[1];
    if (width < 1 || scale > width)
      return InvalidArgument("DECIMAL(" + std::to_string(width) + ", " + std::to_string(scale) + ") is not a type")
          .At(where)
          .Remedy("write DECIMAL(precision, scale) with 1 <= precision <= 38 and scale <= precision");
    return Type::Decimal(static_cast<uint8_t>(width), static_cast<uint8_t>(scale));
  }
  if (name == "DOUBLE") {
    cursor.Accept("PRECISION");
    return Type(TypeId::kDouble);
  }
  if (name == "INTERVAL") {  // INTERVAL DAY TO SECOND(3) and so on say how Flink shows it
    auto unit = [&]() -> Status {
      for (const char* word : {"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"})
        if (cursor.Accept(word)) {
          TRY(Parameters(cursor, 2, 9));
          break;
        }
      return {};
    };
    TRY(unit());
    if (cursor.Accept("TO")) TRY(unit());
    return Type(TypeId::kInterval);
  }
  if (const auto refused = RefusedTypes().find(name); refused != RefusedTypes().end())
    return Unsupported("type " + name + " is not supported").At(where).Remedy(refused->second);
  const auto found = SimpleTypes().find(name);
  if (found == SimpleTypes().end())
    return InvalidArgument("unknown type " + token.text)
        .At(where)
        .Remedy(
            "use one of BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), STRING, BYTES, DATE, "
            "TIME, "
            "TIMESTAMP(p), TIMESTAMP_LTZ(p), INTERVAL, UUID, ARRAY<...>, MAP<..., ...>, ROW<...>");
  TypeId id = found->second;
  if (id == TypeId::kVarchar) cursor.Accept("VARYING");
  if (id == TypeId::kTime || id == TypeId::kTimestamp || id == TypeId::kTimestampTz) {
    TRY(Parameters(cursor, 1, 9));  // all are kept in microseconds
    if (cursor.AcceptAll({"WITHOUT", "TIME", "ZONE"})) return Type(id);
    if (cursor.AcceptAll({"WITH", "LOCAL", "TIME", "ZONE"}) || cursor.AcceptAll({"WITH", "TIME", "ZONE"})) {
      if (id == TypeId::kTime)
        return Unsupported("TIME WITH TIME ZONE is not supported").At(where).Remedy("use TIME or TIMESTAMP_LTZ");
      return Type(TypeId::kTimestampTz);
    }
    return Type(id);
  }
  if (id == TypeId::kVarchar || id == TypeId::kBlob)
    TRY(Parameters(cursor, 1, 2147483647));  // not enforced, as in Flink's sources
  return Type(id);
}

Result<Type> ParseNested(TokenCursor& cursor, int depth) {
  if (depth > kTypeDepthMax)
    return Error(ErrorCode::kLimitExceeded, "types nest at most " + std::to_string(kTypeDepthMax) + " deep")
        .At(cursor.Here());
  Type type = TRY(ParseOne(cursor, depth));
  for (int wraps = 0;; wraps++) {  // INT ARRAY, INT[]
    if (wraps > kTypeDepthMax)
      return Error(ErrorCode::kLimitExceeded, "types nest at most " + std::to_string(kTypeDepthMax) + " deep")
          .At(cursor.Here());
    if (cursor.Accept("[")) {
      TRY(cursor.Expect("]"));
    } else if (!cursor.Accept("ARRAY")) {
      return type;
    }
    type = Type::List(std::move(type));
  }
}

}  // namespace

Result<Type> ParseType(TokenCursor& cursor) { return ParseNested(cursor, 0); }

}  // namespace tailrace::sql
