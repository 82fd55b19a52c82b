// What may stand after `is`.

#include <fmt/format.h>

#include <map>

#include "workflow/jinja/evaluator.h"

namespace tailrace::workflow::jinja {
namespace {

using Test = Result<bool> (*)(const Value& v, const List& a);
using V = const Value&;
using A = const List&;

Result<bool> Ordered(V v, A a, bool less, bool equal) {
  if (a.empty()) return InvalidArgument("a value to compare with is missing");
  int order = TRY(Order(v, a[0]));
  return (order == -1 && less) || (order == 0 && equal) || (order == 1 && !less);
}

Result<int64_t> WholeNumber(V v) {
  if (!v.is_number() || v.is_double())
    return InvalidArgument(fmt::format("an integer is needed, not {}", v.KindName()));
  return v.integer();
}

const std::map<std::string, Test>& Tests() {
  static const std::map<std::string, Test> tests = {
      {"boolean", [](V v, A) -> Result<bool> { return v.is_bool(); }},
      {"callable", [](V v, A) -> Result<bool> { return v.is_object(); }},
      {"defined", [](V v, A) -> Result<bool> { return !v.is_undefined(); }},
      {"divisibleby",
       [](V v, A a) -> Result<bool> {
         if (a.empty()) return InvalidArgument("a divisor is missing");
         int64_t by = TRY(WholeNumber(a[0]));
         if (by == 0) return InvalidArgument("modulo by zero");
         return by == -1 || TRY(WholeNumber(v)) % by == 0;
       }},
      {"eq", [](V v, A a) -> Result<bool> { return !a.empty() && Equal(v, a[0]); }},
      {"even", [](V v, A) -> Result<bool> { return TRY(WholeNumber(v)) % 2 == 0; }},
      {"false", [](V v, A) -> Result<bool> { return v.is_bool() && !v.boolean(); }},
      {"filter", [](V v, A) -> Result<bool> { return v.is_string() && KnownFilter(v.string()); }},
      {"float", [](V v, A) -> Result<bool> { return v.is_double(); }},
      {"ge", [](V v, A a) { return Ordered(v, a, false, true); }},
      {"gt", [](V v, A a) { return Ordered(v, a, false, false); }},
      {"in",
       [](V v, A a) -> Result<bool> {
         return a.empty() ? Result<bool>(InvalidArgument("a container is missing")) : Contains(a[0], v);
       }},
      {"integer", [](V v, A) -> Result<bool> { return v.is_int(); }},
      {"iterable", [](V v, A) -> Result<bool> { return v.is_list() || v.is_map() || v.is_string(); }},
      {"le", [](V v, A a) { return Ordered(v, a, true, true); }},
      {"lower",
       [](V v, A) -> Result<bool> {
         bool any = false;
         for (unsigned char c : PythonStr(v)) {
           if (isupper(c)) return false;
           any |= islower(c) != 0;
         }
         return any;
       }},
      {"lt", [](V v, A a) { return Ordered(v, a, true, false); }},
      {"mapping", [](V v, A) -> Result<bool> { return v.is_map(); }},
      {"ne", [](V v, A a) -> Result<bool> { return a.empty() || !Equal(v, a[0]); }},
      {"none", [](V v, A) -> Result<bool> { return v.is_null(); }},
      {"number", [](V v, A) -> Result<bool> { return v.is_number(); }},
      {"odd", [](V v, A) -> Result<bool> { return TRY(WholeNumber(v)) % 2 != 0; }},
      {"sameas", [](V v, A a) -> Result<bool> { return !a.empty() && v.kind() == a[0].kind() && Equal(v, a[0]); }},
      {"sequence", [](V v, A) -> Result<bool> { return v.is_list() || v.is_map() || v.is_string(); }},
      {"string", [](V v, A) -> Result<bool> { return v.is_string(); }},
      {"test", [](V v, A) -> Result<bool> { return v.is_string() && KnownTest(v.string()); }},
      {"true", [](V v, A) -> Result<bool> { return v.is_bool() && v.boolean(); }},
      {"undefined", [](V v, A) -> Result<bool> { return v.is_undefined(); }},
      {"upper",
       [](V v, A) -> Result<bool> {
         bool any = false;
         for (unsigned char c : PythonStr(v)) {
           if (islower(c)) return false;
           any |= isupper(c) != 0;
         }
         return any;
       }},
  };
  return tests;
}

std::string Canonical(const std::string& name) {
  static const std::map<std::string, std::string> aliases = {{"==", "eq"}, {"equalto", "eq"},     {"!=", "ne"},
                                                             {"<", "lt"},  {"lessthan", "lt"},    {"<=", "le"},
                                                             {">", "gt"},  {"greaterthan", "gt"}, {">=", "ge"}};
  auto it = aliases.find(name);
  return it == aliases.end() ? name : it->second;
}

}  // namespace

bool KnownTest(const std::string& name) { return Tests().contains(Canonical(name)); }

Result<bool> ApplyTest(const std::string& name, const Value& value, const List& arguments) {
  auto it = Tests().find(Canonical(name));
  if (it == Tests().end()) return NotFound(name);
  return it->second(value, arguments);
}

}  // namespace tailrace::workflow::jinja
