#pragma once
// The dynamic value of DAG files, templates and XCom: JSON's types, and the few of Python's that templates see.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace tailrace::workflow {

class Value;
using List = std::vector<Value>;

/// Keeps insertion order, as Python's dict. Linear search: these maps are small (limits of the loaders: 10,000 keys).
class Map {
 public:
  using Entry = std::pair<std::string, Value>;
  const Value* Find(std::string_view key) const;
  void Set(std::string key, Value value);
  bool Erase(std::string_view key);
  size_t size() const;
  bool empty() const;
  std::vector<Entry>::const_iterator begin() const;
  std::vector<Entry>::const_iterator end() const;

 private:
  std::vector<Entry> entries_;
};

/// An instant with the offset it is shown in.
struct DateTime {
  int64_t epoch_us = 0;
  int32_t offset_s = 0;  // of the zone at that instant
  std::string zone = "UTC";
  bool operator==(const DateTime& o) const { return epoch_us == o.epoch_us; }
};

struct Duration {
  int64_t us = 0;
};

/// Something templates can look into or call: `ti`, `macros`, a method. Immutable as seen from templates.
class Object {
 public:
  virtual ~Object() = default;
  /// kNotFound: no such attribute.
  virtual Result<Value> Attribute(const std::string& name) const;
  /// `keywords` holds the named arguments.
  virtual Result<Value> Call(const List& arguments, const Map& keywords) const;
  /// What {{ object }} prints.
  virtual std::string Text() const = 0;
};

/// Cheap to copy: lists and maps are shared and copied when written through Mutable*.
class Value {
 public:
  enum class Kind : uint8_t {
    kUndefined,
    kNull,
    kBool,
    kInt,
    kDouble,
    kString,
    kList,
    kMap,
    kDateTime,
    kDuration,
    kObject
  };

  Value() : v_(Null{}) {}
  Value(bool b) : v_(b) {}                           // NOLINT: implicit by design, as JSON literals read
  Value(int i) : v_(static_cast<int64_t>(i)) {}      // NOLINT
  Value(int64_t i) : v_(i) {}                        // NOLINT
  Value(double d) : v_(d) {}                         // NOLINT
  Value(const char* s) : v_(std::string(s)) {}       // NOLINT
  Value(std::string s) : v_(std::move(s)) {}         // NOLINT
  Value(std::string_view s) : v_(std::string(s)) {}  // NOLINT
  Value(List list) : v_(std::make_shared<List>(std::move(list))) {}  // NOLINT
  Value(Map map) : v_(std::make_shared<Map>(std::move(map))) {}      // NOLINT
  Value(DateTime t) : v_(std::move(t)) {}                            // NOLINT
  Value(Duration d) : v_(d) {}                                       // NOLINT
  Value(std::shared_ptr<const Object> o) : v_(std::move(o)) {}       // NOLINT

  /// A name that has no value; `hint` says which, for the error when it is used.
  static Value Undefined(std::string hint) {
    Value v;
    v.v_ = Missing{std::move(hint)};
    return v;
  }
  static Value Tuple(List list) {
    Value v(std::move(list));
    v.tuple_ = true;
    return v;
  }

  Kind kind() const { return static_cast<Kind>(v_.index()); }
  bool is_undefined() const { return kind() == Kind::kUndefined; }
  bool is_null() const { return kind() == Kind::kNull; }
  bool is_bool() const { return kind() == Kind::kBool; }
  bool is_int() const { return kind() == Kind::kInt; }
  bool is_double() const { return kind() == Kind::kDouble; }
  bool is_number() const { return is_int() || is_double() || is_bool(); }
  bool is_string() const { return kind() == Kind::kString; }
  bool is_list() const { return kind() == Kind::kList; }
  bool is_map() const { return kind() == Kind::kMap; }
  bool is_datetime() const { return kind() == Kind::kDateTime; }
  bool is_duration() const { return kind() == Kind::kDuration; }
  bool is_object() const { return kind() == Kind::kObject; }
  bool is_tuple() const { return tuple_; }

  // REQUIRES: the kind matches.
  bool boolean() const { return std::get<bool>(v_); }
  int64_t integer() const { return is_bool() ? std::get<bool>(v_) : std::get<int64_t>(v_); }
  double number() const { return is_double() ? std::get<double>(v_) : static_cast<double>(integer()); }
  const std::string& string() const { return std::get<std::string>(v_); }
  const List& list() const { return *std::get<std::shared_ptr<List>>(v_); }
  const Map& map() const { return *std::get<std::shared_ptr<Map>>(v_); }
  const DateTime& datetime() const { return std::get<DateTime>(v_); }
  Duration duration() const { return std::get<Duration>(v_); }
  const std::shared_ptr<const Object>& object() const { return std::get<std::shared_ptr<const Object>>(v_); }
  const std::string& hint() const { return std::get<Missing>(v_).hint; }
  List& MutableList();
  Map& MutableMap();

  /// The entry of a map, or null where this is no map or has no such key.
  const Value* Find(std::string_view key) const { return is_map() ? map().Find(key) : nullptr; }
  /// "a string", "a list": for messages.
  const char* KindName() const;

 private:
  struct Missing {
    std::string hint;
  };
  struct Null {};
  std::variant<Missing, Null, bool, int64_t, double, std::string, std::shared_ptr<List>, std::shared_ptr<Map>, DateTime,
               Duration, std::shared_ptr<const Object>>
      v_;
  bool tuple_ = false;
};

inline const Value* Map::Find(std::string_view key) const {
  for (const Entry& e : entries_)
    if (e.first == key) return &e.second;
  return nullptr;
}
inline size_t Map::size() const { return entries_.size(); }
inline bool Map::empty() const { return entries_.empty(); }
inline std::vector<Map::Entry>::const_iterator Map::begin() const { return entries_.begin(); }
inline std::vector<Map::Entry>::const_iterator Map::end() const { return entries_.end(); }

/// Deep equality with Python's rules (1 == 1.0 == true).
bool Equal(const Value& a, const Value& b);
/// At most 64 levels and 16 MB.
Result<Value> ParseJson(std::string_view text);
/// Dates become ISO 8601 strings, durations seconds, objects their text, undefined null. `indent` < 0: one line.
std::string ToJson(const Value& value, int indent = -1);

/// "2024-01-15T10:30:00+00:00", microseconds only where there are any: Python's isoformat().
std::string IsoFormat(const DateTime& t, char separator = 'T');

}  // namespace tailrace::workflow
