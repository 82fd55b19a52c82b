#pragma once
// Jinja templates of DAG files: expressions, filters, tests, if, for, set, raw. Answers are those of Python's Jinja2
// with StrictUndefined as Airflow sets it up (tests/workflow/jinja_vs_python.py compares). What a template can't do:
// touch files, run code, grow without bound.

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "workflow/model/value.h"

namespace tailrace::workflow {

/// Where names come from.
class Scope {
 public:
  virtual ~Scope() = default;
  /// kNotFound: no such name.
  virtual Result<Value> Lookup(const std::string& name) const = 0;
};

/// A Scope of plain values.
class MapScope final : public Scope {
 public:
  explicit MapScope(Map map) : map_(std::move(map)) {}
  Result<Value> Lookup(const std::string& name) const override;

 private:
  Map map_;
};

struct TemplateLimits {
  size_t output_bytes = 16 << 20;
  int64_t steps = 2'000'000;  // of evaluation, loop passes included
};

/// True where `text` has anything for Render to do but its last newline.
bool HasTemplate(const std::string& text);
/// Parses only.
Status CheckTemplate(const std::string& text);
/// Errors say where in the template: "line 2, column 5: 'x' is undefined".
Result<std::string> Render(const std::string& text, const Scope& scope, const TemplateLimits& limits = {});
/// The value of one expression, without the braces.
Result<Value> EvaluateExpression(const std::string& expression, const Scope& scope, const TemplateLimits& limits = {});
/// Renders every string inside lists and maps.
Result<Value> RenderDeep(const Value& value, const Scope& scope, const TemplateLimits& limits = {});

/// Python's truth value.
bool Truthy(const Value& value);
/// str() and repr().
std::string PythonStr(const Value& value);
std::string PythonRepr(const Value& value);

}  // namespace tailrace::workflow
