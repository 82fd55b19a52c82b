#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "workflow/jinja/ast.h"
#include "workflow/jinja/template.h"

namespace tailrace::workflow::jinja {

/// One rendering. One thread.
class Evaluator {
 public:
  Evaluator(const Scope& scope, const TemplateLimits& limits) : scope_(scope), limits_(limits) {}
  Status Run(const Nodes& nodes, std::string* out);
  Result<Value> Evaluate(const Expression& e);

 private:
  Result<Value> Lookup(const std::string& name, Place place);
  Result<Value> EvaluateStrict(const Expression& e);  // undefined is an error
  Status For(const Node& node, std::string* out);
  Status Assign(const std::vector<std::string>& targets, const Value& value, Place place);
  Result<Value> BinaryOp(const Expression& e);
  Result<Value> CompareOp(const Expression& e);
  Result<Value> SliceOp(const Expression& e);
  Result<Value> CallOp(const Expression& e);
  Status Arguments(const std::vector<Argument>& arguments, List* positional, Map* named);
  Status Step(Place place);
  Status Grow(const std::string& out, Place place) const;

  const Scope& scope_;
  const TemplateLimits& limits_;
  std::vector<std::vector<std::pair<std::string, Value>>> frames_ = {{}};
  int64_t steps_ = 0;
};

// filters.cc, tests.cc, methods.cc. Errors come without a place; the evaluator adds it.
using Evaluate2 = Result<Value>;
/// kNotFound: no filter (test) of that name.
Result<Value> ApplyFilter(const std::string& name, const Value& value, const List& arguments, const Map& named);
Result<bool> ApplyTest(const std::string& name, const Value& value, const List& arguments);
bool KnownFilter(const std::string& name);
bool KnownTest(const std::string& name);
/// value.name, as a method or attribute; kNotFound: none.
Result<Value> GetAttribute(const Value& value, const std::string& name);
/// value[index]; kNotFound: none.
Result<Value> GetItem(const Value& value, const Value& index);
Result<Value> CallMethod(const Value& self, const std::string& name, const List& arguments, const Map& named);
bool HasMethod(const Value& self, const std::string& name);
/// What a for loop, list() and join see: items of a list, keys of a map, characters of a string.
Result<List> Iterate(const Value& value);
/// -1, 0, 1; an error where Python can't order the two.
Result<int> Order(const Value& a, const Value& b);
Result<bool> Contains(const Value& container, const Value& item);
/// '%s %05.2f' % value, and "{:>5}".format(...).
Result<std::string> PercentFormat(const std::string& format, const Value& value);
Result<std::string> BraceFormat(const std::string& format, const List& arguments, const Map& named);
Result<Value> Arithmetic(Op op, const Value& a, const Value& b);
/// Upper and lower case of Latin, Greek and Cyrillic letters; others stay.
std::string Upper(const std::string& text);
std::string Lower(const std::string& text);
/// Code points.
std::vector<std::string> Characters(const std::string& text);
/// strftime of the datetime's own wall clock.
std::string Strftime(const DateTime& t, const std::string& format);

}  // namespace tailrace::workflow::jinja
