#include "sql/front_end.h"

#include <algorithm>
#include <mutex>

#include "base/check.h"
#include "base/clock.h"
#include "duckdb.hpp"
#include "duckdb/main/client_context_state.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/extension/extension_loader.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/planner/planner.hpp"
#include "sql/flink_functions.h"
#include "sql/query_rewriter.h"

namespace tailrace::sql {

using data::Type;
using data::TypeId;

namespace {

// Off: what would use that nothing lies in DuckDB, or what turns a query into operators that only a finite input has.
// build_side_probe_side stays on although nothing is joined: it resolves the types of the plan again after unused
// columns went, without which ExtractPlan refuses a UNION ALL of filtered inputs ("inequal num bindings/types").
constexpr const char* kDisabledOptimizers =
    "statistics_propagation,empty_result_pullup,in_clause,join_order,compressed_materialization,"
    "late_materialization,top_n,limit_pushdown,sampling_pushdown,join_filter_pushdown,materialized_cte,cte_filter_"
    "pusher,"
    "column_lifetime,reorder_filter,duplicate_groups";

// Relations of one connection, for the binder of __relation().
struct ConnectionRelations : public duckdb::ClientContextState {
  std::vector<Relation> relations;
};
constexpr const char* kRelationsKey = "tailrace_relations";

struct RelationBind : public duckdb::TableFunctionData {
  explicit RelationBind(int i) : id(i) {}
  int id;
  duckdb::unique_ptr<duckdb::FunctionData> Copy() const override { return duckdb::make_uniq<RelationBind>(id); }
  bool Equals(const duckdb::FunctionData& other) const override { return other.Cast<RelationBind>().id == id; }
};

duckdb::unique_ptr<duckdb::FunctionData> BindRelation(duckdb::ClientContext& context,
                                                      duckdb::TableFunctionBindInput& input,
                                                      duckdb::vector<duckdb::LogicalType>& types,
                                                      duckdb::vector<duckdb::string>& names) {
  const auto state = context.registered_state->Get<ConnectionRelations>(kRelationsKey);
  const int id = input.inputs[0].GetValue<int32_t>();
  if (!state || id < 0 || static_cast<size_t>(id) >= state->relations.size())
    throw duckdb::BinderException("__relation() is for internal use");
  for (const data::Field& field : state->relations[static_cast<size_t>(id)].columns) {
    types.push_back(ToDuck(field.type));
    names.push_back(field.name);
  }
  return duckdb::make_uniq<RelationBind>(id);
}

void NeverScanned(duckdb::ClientContext&, duckdb::TableFunctionInput&, duckdb::DataChunk& output) {
  output.SetCardinality(0);
}

void Now(duckdb::DataChunk& args, duckdb::ExpressionState&, duckdb::Vector& result) {
  (void)args;
  result.Reference(duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(Clock::System().NowUs())));
}

void Must(duckdb::Connection& connection, const std::string& sql) {
  const auto result = connection.Query(sql);
  if (!result->HasError()) return;
  throw std::runtime_error(sql + ": " + result->GetError());
}

// One DuckDB a process for planning and for the functions that bound expressions call; never closed, because threads
// may evaluate until the end.
duckdb::DuckDB& Database() {
  static duckdb::DuckDB* const database = [] {
    duckdb::DBConfig config;
    config.SetOptionByName("threads", duckdb::Value::INTEGER(1));
    config.options.autoinstall_known_extensions = false;
    config.options.autoload_known_extensions = false;
    auto* made = new duckdb::DuckDB(nullptr, &config);
    duckdb::ExtensionLoader loader(*made->instance, "tailrace");
    duckdb::TableFunction relation("__relation", {duckdb::LogicalType::INTEGER}, NeverScanned, BindRelation);
    relation.projection_pushdown = true;
    loader.RegisterFunction(relation);
    duckdb::ScalarFunction now("__now", {}, duckdb::LogicalType::TIMESTAMP_TZ, Now);
    now.stability = duckdb::FunctionStability::VOLATILE;
    loader.RegisterFunction(now);
    duckdb::Connection connection(*made);
    for (const SqlMacro& macro : kFlinkFunctions)
      Must(connection, std::string("CREATE MACRO ") + macro.signature + " AS " + macro.body);
    Must(connection, "SET GLOBAL TimeZone = 'UTC'");
    Must(connection, "SET GLOBAL integer_division = true");
    Must(connection, std::string("SET GLOBAL disabled_optimizers = '") + kDisabledOptimizers + "'");
    Must(connection, "SET GLOBAL enable_external_access = false");  // a query reads its declared tables, no files
    return made;
  }();
  return *database;
}

}  // namespace

struct FrontEnd::Registry {
  duckdb::shared_ptr<ConnectionRelations> state;
};

BoundQuery::BoundQuery() = default;
BoundQuery::BoundQuery(BoundQuery&&) noexcept = default;
BoundQuery& BoundQuery::operator=(BoundQuery&&) noexcept = default;
BoundQuery::~BoundQuery() = default;

FrontEnd::FrontEnd() : registry_(std::make_shared<Registry>()) {}
FrontEnd::~FrontEnd() = default;

std::shared_ptr<duckdb::Connection> NewConnection() { return std::make_shared<duckdb::Connection>(Database()); }

Result<std::unique_ptr<FrontEnd>> FrontEnd::Open() {
  std::unique_ptr<FrontEnd> made(new FrontEnd());
  try {
    made->connection_ = NewConnection();
    made->registry_->state =
        made->connection_->context->registered_state->GetOrCreate<ConnectionRelations>(kRelationsKey);
  } catch (const std::exception& exception) { return Internal("DuckDB does not start: " + CleanMessage(exception)); }
  return made;
}

duckdb::ClientContext& FrontEnd::context() { return *connection_->context; }

int FrontEnd::AddRelation(Relation relation) {
  registry_->state->relations.push_back(std::move(relation));
  return static_cast<int>(registry_->state->relations.size()) - 1;
}

const Relation& FrontEnd::relation(int id) const { return registry_->state->relations.at(static_cast<size_t>(id)); }

Status FrontEnd::Name(int id) {
  const auto result = connection_->Query("CREATE TEMP VIEW " + QuoteIdentifier(relation(id).name) +
                                         " AS SELECT * FROM " + RelationCall(id));
  if (result->HasError()) return Internal("naming relation " + relation(id).name + ": " + result->GetError());
  return {};
}

Result<std::vector<ResultColumn>> FrontEnd::Describe(const MappedText& query) {
  try {
    duckdb::vector<duckdb::string> names;
    duckdb::vector<duckdb::LogicalType> types;
    auto statements = connection_->ExtractStatements(query.text());
    if (statements.size() != 1 || statements[0]->type != duckdb::StatementType::SELECT_STATEMENT)
      return InvalidArgument("expected one query").At(query.At(0));
    context().RunFunctionInTransaction([&] {
      duckdb::Planner planner(context());
      planner.CreatePlan(std::move(statements[0]));
      names = planner.names;
      types = planner.types;
    });
    std::vector<ResultColumn> columns;
    for (size_t i = 0; i < names.size(); i++) {
      bool exact = false;
      const bool null = types[i].id() == duckdb::LogicalTypeId::SQLNULL;
      Result<Type> type = null ? Result<Type>(Type(TypeId::kInteger)) : FromDuck(types[i], &exact);
      if (!type.ok()) return std::move(type).error().Context("column " + names[i]).At(query.At(0));
      columns.push_back({names[i], std::move(type).value(), null});
    }
    return columns;
  } catch (const std::exception& exception) { return Translate(exception, query); }
}

namespace {

void CollectReads(const duckdb::LogicalOperator& op, std::set<std::pair<int, int>>* reads) {
  if (op.type == duckdb::LogicalOperatorType::LOGICAL_GET) {
    const auto& get = op.Cast<duckdb::LogicalGet>();
    if (const auto* bind = dynamic_cast<const RelationBind*>(get.bind_data.get()))
      for (const auto& column : get.GetColumnIds())
        if (!column.IsVirtualColumn()) reads->emplace(bind->id, static_cast<int>(column.GetPrimaryIndex()));
  }
  for (const auto& child : op.children) CollectReads(*child, reads);
}

}  // namespace

int RelationOf(const duckdb::LogicalOperator& op) {
  const auto* bind = dynamic_cast<const RelationBind*>(op.Cast<duckdb::LogicalGet>().bind_data.get());
  return bind ? bind->id : -1;
}

Result<BoundQuery> FrontEnd::Plan(const MappedText& query) {
  try {
    BoundQuery bound;
    bound.plan = std::shared_ptr<duckdb::LogicalOperator>(connection_->ExtractPlan(query.text()).release());
    bound.where = query.At(0);
    CollectReads(*bound.plan, &bound.reads);
    return bound;
  } catch (const std::exception& exception) { return Translate(exception, query); }
}

std::string CleanMessage(const std::exception& exception) {
  duckdb::ErrorData error(exception);
  std::string message = error.RawMessage();
  for (const char* tail : {"\n\nLINE ", "\nLINE ", "\n"})
    if (const size_t cut = message.find(tail); cut != std::string::npos) message.resize(cut);
  return message;
}

namespace {

std::string Take(const std::unordered_map<std::string, std::string>& map, const char* key) {
  const auto found = map.find(key);
  return found == map.end() ? "" : found->second;
}

// The first few of a list that DuckDB joins with commas, where commas in parentheses don't count.
std::string FirstFew(const std::string& list, size_t most) {
  std::string out, item;
  size_t count = 0;
  int depth = 0;
  for (size_t i = 0; i <= list.size(); i++) {
    if (i < list.size() && (list[i] != ',' || depth > 0)) {
      if (list[i] == '(') depth++;
      if (list[i] == ')') depth--;
      item += list[i];
      continue;
    }
    if (count == most) return out + ", ...";
    out += (count++ ? ", " : "") + item;
    item.clear();
  }
  return out;
}

}  // namespace

Error FrontEnd::Translate(const std::exception& exception, const MappedText& query) const {
  const duckdb::ErrorData data(exception);
  const auto& info = data.ExtraInfo();
  const std::string subtype = Take(info, "error_subtype"), name = Take(info, "name");
  size_t position = 0;
  if (const std::string text = Take(info, "position"); !text.empty())
    position = std::strtoull(text.c_str(), nullptr, 10);
  const SourceLocation where = query.At(position);

  if (data.Type() == duckdb::ExceptionType::FATAL || data.Type() == duckdb::ExceptionType::INTERNAL)
    return Internal("DuckDB failed on this query: " + CleanMessage(exception)).At(where);
  if (subtype == "SYNTAX_ERROR") {
    std::string message = CleanMessage(exception);
    if (const size_t near = message.find(" at or near "); near != std::string::npos) message.replace(near, 12, " at ");
    return InvalidArgument(message).At(where);
  }
  if (subtype == "COLUMN_NOT_FOUND") {
    // What the query reads, by name.
    std::string known;
    size_t count = 0;
    std::set<std::string> words;
    const SourceText source({}, query.text());
    if (const auto tokens = Tokenize(source); tokens.ok())
      for (size_t i = 0; i < tokens->size(); i++) {
        const Token& token = (*tokens)[i];
        if (token.Is("__relation") && i + 2 < tokens->size()) words.insert("__" + (*tokens)[i + 2].text);
        if (token.IsIdentifier()) words.insert(ToLower(token.text));
      }
    const auto& relations = registry_->state->relations;
    std::set<std::string> shown;
    for (size_t id = 0; id < relations.size(); id++) {
      const Relation& relation = relations[id];
      if (!words.contains(ToLower(relation.name)) && !words.contains("__" + std::to_string(id))) continue;
      const std::string text = relation.name + " (" + data::DescribeFields(relation.columns) + ")";
      if (!shown.insert(text).second) continue;
      known += (count++ ? ", " : "") + text;
    }
    return InvalidArgument("column \"" + name + "\" does not exist" + (count ? " in " + known : "")).At(where);
  }
  if (subtype == "MISSING_ENTRY" && Take(info, "type") == "Table") {
    std::set<std::string> names;
    for (const Relation& relation : registry_->state->relations)
      if (!relation.name.empty()) names.insert(relation.name);
    std::string known;
    for (const std::string& each : names) known += (known.empty() ? "" : ", ") + each;
    return InvalidArgument("table \"" + name + "\" does not exist (" +
                           (known.empty() ? "there are none" : "there are: " + known) + ")")
        .At(where);
  }
  if (subtype == "MISSING_ENTRY" && Take(info, "type").find("Function") != std::string::npos) {
    Error error = InvalidArgument("function " + name + " does not exist").At(where);
    const std::string candidates = Take(info, "candidates");
    if (!candidates.empty()) return std::move(error).Remedy("did you mean " + FirstFew(candidates, 3) + "?");
    return error;
  }
  if (subtype == "NO_MATCHING_FUNCTION") {
    Error error = InvalidArgument("no function " + Take(info, "call")).At(where);
    const std::string candidates = Take(info, "candidates");
    if (!candidates.empty()) return std::move(error).Remedy("use " + FirstFew(candidates, 6) + ", or CAST an argument");
    return error;
  }
  return InvalidArgument(CleanMessage(exception)).At(where);
}

duckdb::LogicalType ToDuck(const Type& type) {
  using duckdb::LogicalType;
  switch (type.id) {
    case TypeId::kBoolean: return LogicalType::BOOLEAN;
    case TypeId::kTinyInt: return LogicalType::TINYINT;
    case TypeId::kSmallInt: return LogicalType::SMALLINT;
    case TypeId::kInteger: return LogicalType::INTEGER;
    case TypeId::kBigInt: return LogicalType::BIGINT;
    case TypeId::kHugeInt: return LogicalType::HUGEINT;
    case TypeId::kFloat: return LogicalType::FLOAT;
    case TypeId::kDouble: return LogicalType::DOUBLE;
    case TypeId::kDecimal: return LogicalType::DECIMAL(type.width, type.scale);
    case TypeId::kVarchar: return LogicalType::VARCHAR;
    case TypeId::kBlob: return LogicalType::BLOB;
    case TypeId::kDate: return LogicalType::DATE;
    case TypeId::kTime: return LogicalType::TIME;
    case TypeId::kTimestamp: return LogicalType::TIMESTAMP;
    case TypeId::kTimestampTz: return LogicalType::TIMESTAMP_TZ;
    case TypeId::kInterval: return LogicalType::INTERVAL;
    case TypeId::kUuid: return LogicalType::UUID;
    case TypeId::kStruct: {
      duckdb::child_list_t<LogicalType> children;
      for (const data::Field& field : type.children) children.emplace_back(field.name, ToDuck(field.type));
      return LogicalType::STRUCT(std::move(children));
    }
    case TypeId::kList: return LogicalType::LIST(ToDuck(type.children.at(0).type));
    case TypeId::kMap: {
      const auto& entry = type.children.at(0).type.children;
      return LogicalType::MAP(ToDuck(entry.at(0).type), ToDuck(entry.at(1).type));
    }
  }
  return LogicalType::SQLNULL;
}

Result<Type> FromDuck(const duckdb::LogicalType& type, bool* exact) {
  using duckdb::LogicalTypeId;
  *exact = true;
  auto nearest = [&](Type other) -> Type {
    *exact = false;
    return other;
  };
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN: return Type(TypeId::kBoolean);
    case LogicalTypeId::TINYINT: return Type(TypeId::kTinyInt);
    case LogicalTypeId::SMALLINT: return Type(TypeId::kSmallInt);
    case LogicalTypeId::INTEGER: return Type(TypeId::kInteger);
    case LogicalTypeId::BIGINT: return Type(TypeId::kBigInt);
    case LogicalTypeId::HUGEINT: return Type(TypeId::kHugeInt);
    case LogicalTypeId::FLOAT: return Type(TypeId::kFloat);
    case LogicalTypeId::DOUBLE: return Type(TypeId::kDouble);
    case LogicalTypeId::DECIMAL:
      return Type::Decimal(duckdb::DecimalType::GetWidth(type), duckdb::DecimalType::GetScale(type));
    case LogicalTypeId::VARCHAR: return Type(TypeId::kVarchar);
    case LogicalTypeId::BLOB: return Type(TypeId::kBlob);
    case LogicalTypeId::DATE: return Type(TypeId::kDate);
    case LogicalTypeId::TIME: return Type(TypeId::kTime);
    case LogicalTypeId::TIMESTAMP: return Type(TypeId::kTimestamp);
    case LogicalTypeId::TIMESTAMP_TZ: return Type(TypeId::kTimestampTz);
    case LogicalTypeId::INTERVAL: return Type(TypeId::kInterval);
    case LogicalTypeId::UUID: return Type(TypeId::kUuid);
    case LogicalTypeId::STRUCT: {
      std::vector<data::Field> fields;
      bool all = true;
      size_t i = 0;
      for (const auto& [name, child] : duckdb::StructType::GetChildTypes(type)) {
        bool one = false;
        fields.push_back({name.empty() ? "f" + std::to_string(i) : name, TRY(FromDuck(child, &one))});
        all &= one;
        i++;
      }
      *exact = all;
      return Type::Struct(std::move(fields));
    }
    case LogicalTypeId::LIST: return Type::List(TRY(FromDuck(duckdb::ListType::GetChildType(type), exact)));
    case LogicalTypeId::ARRAY: {
      Type element = TRY(FromDuck(duckdb::ArrayType::GetChildType(type), exact));
      return nearest(Type::List(std::move(element)));
    }
    case LogicalTypeId::MAP: {
      bool value_exact = false;
      Type key = TRY(FromDuck(duckdb::MapType::KeyType(type), exact));
      Type value = TRY(FromDuck(duckdb::MapType::ValueType(type), &value_exact));
      *exact = *exact && value_exact;
      return Type::Map(std::move(key), std::move(value));
    }
    case LogicalTypeId::UTINYINT: return nearest(TypeId::kSmallInt);
    case LogicalTypeId::USMALLINT: return nearest(TypeId::kInteger);
    case LogicalTypeId::UINTEGER: return nearest(TypeId::kBigInt);
    case LogicalTypeId::UBIGINT: return nearest(TypeId::kHugeInt);
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_NS: return nearest(TypeId::kTimestamp);
    case LogicalTypeId::TIME_TZ: return nearest(TypeId::kTime);
    case LogicalTypeId::SQLNULL: return nearest(TypeId::kInteger);
    case LogicalTypeId::UHUGEINT:
    case LogicalTypeId::BIGNUM:
    case LogicalTypeId::ENUM:
    case LogicalTypeId::BIT:
    case LogicalTypeId::STRING_LITERAL: return nearest(TypeId::kVarchar);
    case LogicalTypeId::INTEGER_LITERAL: return nearest(TypeId::kBigInt);
    default: break;
  }
  return Unsupported("type " + type.ToString() + " is not supported").Remedy("CAST it to another type");
}

std::string SqlType(const Type& type) { return ToDuck(type).ToString(); }

}  // namespace tailrace::sql
