#include "workflow/model/value.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "workflow/timetable/civil.h"

namespace tailrace::workflow {

void Map::Set(std::string key, Value value) {
  for (Entry& e : entries_)
    if (e.first == key) {
      e.second = std::move(value);
      return;
    }
  entries_.emplace_back(std::move(key), std::move(value));
}

bool Map::Erase(std::string_view key) {
  for (auto it = entries_.begin(); it != entries_.end(); ++it)
    if (it->first == key) {
      entries_.erase(it);
      return true;
    }
  return false;
}

Result<Value> Object::Attribute(const std::string& name) const {
  return NotFound(fmt::format("no attribute '{}'", name));
}
Result<Value> Object::Call(const List&, const Map&) const {
  return InvalidArgument(fmt::format("{} is not callable", Text()));
}

List& Value::MutableList() {
  auto& p = std::get<std::shared_ptr<List>>(v_);
  if (p.use_count() > 1) p = std::make_shared<List>(*p);
  return *p;
}

Map& Value::MutableMap() {
  auto& p = std::get<std::shared_ptr<Map>>(v_);
  if (p.use_count() > 1) p = std::make_shared<Map>(*p);
  return *p;
}

const char* Value::KindName() const {
  switch (kind()) {
    case Kind::kUndefined: return "undefined";
    case Kind::kNull: return "null";
    case Kind::kBool: return "a boolean";
    case Kind::kInt: return "an integer";
    case Kind::kDouble: return "a number";
    case Kind::kString: return "a string";
    case Kind::kList: return "a list";
    case Kind::kMap: return "a map";
    case Kind::kDateTime: return "a date";
    case Kind::kDuration: return "a duration";
    case Kind::kObject: return "an object";
  }
  return "?";
}

bool Equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_double() || b.is_double()) return a.number() == b.number();
    return a.integer() == b.integer();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Value::Kind::kUndefined:
    case Value::Kind::kNull: return true;
    case Value::Kind::kString: return a.string() == b.string();
    case Value::Kind::kDateTime: return a.datetime() == b.datetime();
    case Value::Kind::kDuration: return a.duration().us == b.duration().us;
    case Value::Kind::kObject: return a.object() == b.object();
    case Value::Kind::kList: {
      if (a.is_tuple() != b.is_tuple() || a.list().size() != b.list().size()) return false;
      for (size_t i = 0; i < a.list().size(); ++i)
        if (!Equal(a.list()[i], b.list()[i])) return false;
      return true;
    }
    case Value::Kind::kMap: {
      if (a.map().size() != b.map().size()) return false;
      for (const auto& [key, value] : a.map()) {
        const Value* other = b.map().Find(key);
        if (other == nullptr || !Equal(value, *other)) return false;
      }
      return true;
    }
    default: return false;
  }
}

namespace {

using Json = nlohmann::ordered_json;
constexpr int kDepthMax = 64;

Value FromJson(const Json& j) {
  switch (j.type()) {
    case Json::value_t::boolean: return Value(j.get<bool>());
    case Json::value_t::number_integer: return Value(j.get<int64_t>());
    case Json::value_t::number_unsigned: {
      uint64_t u = j.get<uint64_t>();
      return u <= INT64_MAX ? Value(static_cast<int64_t>(u)) : Value(static_cast<double>(u));
    }
    case Json::value_t::number_float: return Value(j.get<double>());
    case Json::value_t::string: return Value(j.get_ref<const std::string&>());
    case Json::value_t::array: {
      List list;
      list.reserve(j.size());
      for (const Json& item : j) list.push_back(FromJson(item));
      return Value(std::move(list));
    }
    case Json::value_t::object: {
      Map map;
      for (const auto& [key, item] : j.items()) map.Set(key, FromJson(item));
      return Value(std::move(map));
    }
    default: return Value();
  }
}

Json IntoJson(const Value& v, int depth) {
  if (depth > kDepthMax) return "(too deep)";
  switch (v.kind()) {
    case Value::Kind::kBool: return v.boolean();
    case Value::Kind::kInt: return v.integer();
    case Value::Kind::kDouble: return v.number();
    case Value::Kind::kString: return v.string();
    case Value::Kind::kList: {
      Json j = Json::array();
      for (const Value& item : v.list()) j.push_back(IntoJson(item, depth + 1));
      return j;
    }
    case Value::Kind::kMap: {
      Json j = Json::object();
      for (const auto& [key, item] : v.map()) j[key] = IntoJson(item, depth + 1);
      return j;
    }
    case Value::Kind::kDateTime: return IsoFormat(v.datetime());
    case Value::Kind::kDuration: return static_cast<double>(v.duration().us) / 1e6;
    case Value::Kind::kObject: return v.object()->Text();
    default: return nullptr;
  }
}

}  // namespace

Result<Value> ParseJson(std::string_view text) {
  constexpr size_t kBytesMax = 16 << 20;
  if (text.size() > kBytesMax) return Error(ErrorCode::kLimitExceeded, "JSON of more than 16 MB");
  try {
    bool too_deep = false;
    Json j = Json::parse(text, [&](int depth, Json::parse_event_t, Json&) {
      too_deep |= depth > kDepthMax;
      return !too_deep;
    });
    if (too_deep) return Error(ErrorCode::kLimitExceeded, "JSON nested deeper than 64 levels");
    return FromJson(j);
  } catch (const Json::exception& e) {
    std::string what = e.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    size_t end = what.find("] ");
    return InvalidArgument(end == std::string::npos ? what : what.substr(end + 2));
  }
}

std::string ToJson(const Value& value, int indent) {
  return IntoJson(value, 0).dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string IsoFormat(const DateTime& t, char separator) {
  CivilTime c = CivilFromSeconds(FloorDiv(t.epoch_us, 1'000'000) + t.offset_s);
  int us = static_cast<int>(FloorMod(t.epoch_us, 1'000'000));
  std::string text = fmt::format("{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}", c.year, c.month, c.day, separator, c.hour,
                                 c.minute, c.second);
  if (us != 0) text += fmt::format(".{:06}", us);
  int offset_min = t.offset_s / 60;
  char sign = offset_min < 0 ? '-' : '+';
  if (offset_min < 0) offset_min = -offset_min;
  return text + fmt::format("{}{:02}:{:02}", sign, offset_min / 60, offset_min % 60);
}

}  // namespace tailrace::workflow
