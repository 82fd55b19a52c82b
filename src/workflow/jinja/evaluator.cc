#include "workflow/jinja/evaluator.h"

#include <fmt/format.h>

#include <cmath>

#include "workflow/jinja/parser.h"

namespace tailrace::workflow::jinja {
namespace {

Error Placed(Place place, Error error) { return Error(error.code(), ErrorAt(place, error.message()).message()); }

/// `loop` inside a for.
class LoopObject final : public Object {
 public:
  LoopObject(std::shared_ptr<const List> items, size_t index) : items_(std::move(items)), index_(index) {}
  Result<Value> Attribute(const std::string& name) const override {
    const int64_t i = static_cast<int64_t>(index_), n = static_cast<int64_t>(items_->size());
    if (name == "index") return Value(i + 1);
    if (name == "index0") return Value(i);
    if (name == "revindex") return Value(n - i);
    if (name == "revindex0") return Value(n - i - 1);
    if (name == "first") return Value(i == 0);
    if (name == "last") return Value(i + 1 == n);
    if (name == "length") return Value(n);
    if (name == "previtem") return i > 0 ? (*items_)[index_ - 1] : Value::Undefined("there is no previous item");
    if (name == "nextitem") return i + 1 < n ? (*items_)[index_ + 1] : Value::Undefined("there is no next item");
    if (name == "depth") return Value(1);
    return NotFound(name);
  }
  Result<Value> Cycle(const List& choices) const {
    if (choices.empty()) return InvalidArgument("no items for cycling given");
    return choices[index_ % choices.size()];
  }
  std::string Text() const override { return "<LoopContext>"; }

 private:
  const std::shared_ptr<const List> items_;
  size_t index_;
};

}  // namespace

Status Evaluator::Step(Place place) {
  if (++steps_ > limits_.steps)
    return Error(ErrorCode::kLimitExceeded, ErrorAt(place, "the template takes too many steps").message());
  return {};
}

Status Evaluator::Grow(const std::string& out, Place place) const {
  if (out.size() > limits_.output_bytes)
    return Error(ErrorCode::kLimitExceeded,
                 ErrorAt(place, fmt::format("the template gives more than {} bytes", limits_.output_bytes)).message());
  return {};
}

Result<Value> Evaluator::Lookup(const std::string& name, Place) {
  for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame)
    for (auto it = frame->rbegin(); it != frame->rend(); ++it)
      if (it->first == name) return it->second;
  Result<Value> value = scope_.Lookup(name);
  if (value.ok()) return value;
  if (value.error().code() != ErrorCode::kNotFound) return value;
  if (name == "range" || name == "dict" || name == "namespace" || name == "lipsum" || name == "cycler" ||
      name == "joiner")
    return Value::Undefined(fmt::format("'{}' can only be called", name));
  return Value::Undefined(fmt::format("'{}' is undefined", name));
}

Result<Value> Evaluator::EvaluateStrict(const Expression& e) {
  Value value = TRY(Evaluate(e));
  // Without a hint it is the value of an `if` without `else`, which Jinja lets pass as empty.
  if (value.is_undefined() && !value.hint().empty()) return ErrorAt(e.place, value.hint());
  return value;
}

Status Evaluator::Run(const Nodes& nodes, std::string* out) {
  for (const auto& node : nodes) {
    TRY(Step(node->place));
    switch (node->kind) {
      case Node::Kind::kText: *out += node->text; break;
      case Node::Kind::kOutput: *out += PythonStr(TRY(EvaluateStrict(*node->expressions[0]))); break;
      case Node::Kind::kIf: {
        size_t i = 0;
        for (; i < node->expressions.size(); ++i)
          if (Truthy(TRY(EvaluateStrict(*node->expressions[i])))) break;
        if (i < node->bodies.size()) TRY(Run(node->bodies[i], out));
        break;
      }
      case Node::Kind::kFor: TRY(For(*node, out)); break;
      case Node::Kind::kSet: TRY(Assign(node->targets, TRY(Evaluate(*node->expressions[0])), node->place)); break;
      case Node::Kind::kSetBlock: {
        std::string text;
        frames_.emplace_back();
        Status done = Run(node->bodies[0], &text);
        frames_.pop_back();
        TRY(std::move(done));
        TRY(Assign(node->targets, Value(std::move(text)), node->place));
        break;
      }
      case Node::Kind::kDo: TRY(Evaluate(*node->expressions[0])); break;
      case Node::Kind::kWith: {
        std::vector<std::pair<std::string, Value>> frame;
        for (size_t i = 0; i < node->targets.size(); ++i)
          frame.emplace_back(node->targets[i], TRY(Evaluate(*node->expressions[i])));
        frames_.push_back(std::move(frame));
        Status done = Run(node->bodies[0], out);
        frames_.pop_back();
        TRY(std::move(done));
        break;
      }
    }
    TRY(Grow(*out, node->place));
  }
  return {};
}

Status Evaluator::Assign(const std::vector<std::string>& targets, const Value& value, Place place) {
  auto put = [&](const std::string& name, Value v) {
    for (auto& [known, old] : frames_.back())
      if (known == name) {
        old = std::move(v);
        return;
      }
    frames_.back().emplace_back(name, std::move(v));
  };
  if (targets.size() == 1) {
    put(targets[0], value);
    return {};
  }
  Result<List> items = Iterate(value);
  if (!items.ok()) return Placed(place, std::move(items).error());
  if (items->size() != targets.size())
    return ErrorAt(place, fmt::format("{} values for {} names", items->size(), targets.size()));
  for (size_t i = 0; i < targets.size(); ++i) put(targets[i], (*items)[i]);
  return {};
}

Status Evaluator::For(const Node& node, std::string* out) {
  Value over = TRY(EvaluateStrict(*node.expressions[0]));
  Result<List> all = Iterate(over);
  if (!all.ok()) return Placed(node.place, std::move(all).error());
  List items = std::move(*all);
  if (node.expressions[1]) {
    List kept;
    for (Value& item : items) {
      TRY(Step(node.place));
      frames_.emplace_back();
      Status assigned = Assign(node.targets, item, node.place);
      Result<Value> keep =
          assigned.ok() ? EvaluateStrict(*node.expressions[1]) : Result<Value>(std::move(assigned).error());
      frames_.pop_back();
      if (Truthy(TRY(std::move(keep)))) kept.push_back(std::move(item));
    }
    items = std::move(kept);
  }
  if (items.empty()) return Run(node.bodies[1], out);
  const auto shared = std::make_shared<const List>(std::move(items));
  for (size_t i = 0; i < shared->size(); ++i) {
    TRY(Step(node.place));
    frames_.emplace_back();
    Status done = Assign(node.targets, (*shared)[i], node.place);
    if (done.ok()) {
      frames_.back().emplace_back("loop",
                                  Value(std::shared_ptr<const Object>(std::make_shared<LoopObject>(shared, i))));
      done = Run(node.bodies[0], out);
    }
    frames_.pop_back();
    TRY(std::move(done));
  }
  return {};
}

Status Evaluator::Arguments(const std::vector<Argument>& arguments, List* positional, Map* named) {
  for (const Argument& a : arguments) {
    Value value = TRY(Evaluate(*a.value));
    if (a.name.empty()) positional->push_back(std::move(value));
    else named->Set(a.name, std::move(value));
  }
  return {};
}

Result<Value> Evaluator::Evaluate(const Expression& e) {
  TRY(Step(e.place));
  switch (e.op) {
    case Op::kLiteral: return e.literal;
    case Op::kName: return Lookup(e.name, e.place);
    case Op::kList:
    case Op::kTuple: {
      List list;
      for (const auto& child : e.children) list.push_back(TRY(Evaluate(*child)));
      return e.op == Op::kTuple ? Value::Tuple(std::move(list)) : Value(std::move(list));
    }
    case Op::kDict: {
      Map map;
      for (size_t i = 0; i < e.children.size(); i += 2)
        map.Set(PythonStr(TRY(EvaluateStrict(*e.children[i]))), TRY(Evaluate(*e.children[i + 1])));
      return Value(std::move(map));
    }
    case Op::kAttribute: {
      Value self = TRY(EvaluateStrict(*e.children[0]));
      Result<Value> value = GetAttribute(self, e.name);
      if (value.ok()) return value;
      if (value.error().code() == ErrorCode::kNotFound)
        return Value::Undefined(
            fmt::format("{} has no attribute '{}'", self.is_map() ? "'dict object'" : self.KindName(), e.name));
      return Placed(e.place, std::move(value).error());
    }
    case Op::kSubscript: {
      Value self = TRY(EvaluateStrict(*e.children[0]));
      Value index = TRY(EvaluateStrict(*e.children[1]));
      Result<Value> value = GetItem(self, index);
      if (value.ok()) return value;
      if (value.error().code() == ErrorCode::kNotFound)
        return Value::Undefined(
            fmt::format("{} has no element {}", self.is_map() ? "'dict object'" : self.KindName(), PythonRepr(index)));
      return Placed(e.place, std::move(value).error());
    }
    case Op::kSlice: return SliceOp(e);
    case Op::kCall: return CallOp(e);
    case Op::kFilter: {
      if (!KnownFilter(e.name)) return ErrorAt(e.place, fmt::format("no filter named '{}'", e.name));
      Value self = TRY(Evaluate(*e.children[0]));
      if (self.is_undefined() && e.name != "default" && e.name != "d") return ErrorAt(e.place, self.hint());
      List positional;
      Map named;
      TRY(Arguments(e.arguments, &positional, &named));
      Result<Value> value = ApplyFilter(e.name, self, positional, named);
      if (!value.ok()) return Placed(e.place, std::move(value).error());
      return value;
    }
    case Op::kTest: {
      if (!KnownTest(e.name)) return ErrorAt(e.place, fmt::format("no test named '{}'", e.name));
      Value self = TRY(Evaluate(*e.children[0]));
      if (self.is_undefined() && e.name != "defined" && e.name != "undefined") return ErrorAt(e.place, self.hint());
      List positional;
      Map named;
      TRY(Arguments(e.arguments, &positional, &named));
      Result<bool> holds = ApplyTest(e.name, self, positional);
      if (!holds.ok()) return Placed(e.place, std::move(holds).error());
      return Value(*holds != e.negated);
    }
    case Op::kNot: return Value(!Truthy(TRY(EvaluateStrict(*e.children[0]))));
    case Op::kNegative:
    case Op::kPositive: {
      Value v = TRY(EvaluateStrict(*e.children[0]));
      if (v.is_duration() && e.op == Op::kNegative) return Value(Duration{-v.duration().us});
      if (!v.is_number()) return ErrorAt(e.place, fmt::format("{} has no sign", v.KindName()));
      if (e.op == Op::kPositive) return v.is_double() ? v : Value(v.integer());
      if (v.is_double()) return Value(-v.number());
      if (v.integer() == INT64_MIN) return ErrorAt(e.place, "the integer is too large");
      return Value(-v.integer());
    }
    case Op::kOr:
    case Op::kAnd: {
      Value first = TRY(EvaluateStrict(*e.children[0]));
      if (Truthy(first) == (e.op == Op::kOr)) return first;
      return Evaluate(*e.children[1]);
    }
    case Op::kConcat: {
      std::string text = PythonStr(TRY(EvaluateStrict(*e.children[0])));
      text += PythonStr(TRY(EvaluateStrict(*e.children[1])));
      TRY(Grow(text, e.place));
      return Value(std::move(text));
    }
    case Op::kAdd:
    case Op::kSubtract:
    case Op::kMultiply:
    case Op::kDivide:
    case Op::kFloorDivide:
    case Op::kModulo:
    case Op::kPower: return BinaryOp(e);
    case Op::kCompare: return CompareOp(e);
    case Op::kConditional:
      if (Truthy(TRY(EvaluateStrict(*e.children[0])))) return Evaluate(*e.children[1]);
      if (e.children[2]) return Evaluate(*e.children[2]);
      return Value::Undefined("");
  }
  return Internal("template: unknown expression");
}

Result<Value> Evaluator::BinaryOp(const Expression& e) {
  Value a = TRY(EvaluateStrict(*e.children[0]));
  Value b = TRY(EvaluateStrict(*e.children[1]));
  Result<Value> value = Arithmetic(e.op, a, b);
  if (!value.ok()) return Placed(e.place, std::move(value).error());
  if (value->is_string()) TRY(Grow(value->string(), e.place));
  return value;
}

Result<Value> Evaluator::CompareOp(const Expression& e) {
  Value left = TRY(EvaluateStrict(*e.children[0]));
  for (size_t i = 0; i < e.names.size(); ++i) {
    Value right = TRY(EvaluateStrict(*e.children[i + 1]));
    const std::string& op = e.names[i];
    bool holds;
    if (op == "==") {
      holds = Equal(left, right);
    } else if (op == "!=") {
      holds = !Equal(left, right);
    } else if (op == "in" || op == "not in") {
      Result<bool> in = Contains(right, left);
      if (!in.ok()) return Placed(e.place, std::move(in).error());
      holds = *in == (op == "in");
    } else {
      Result<int> order = Order(left, right);
      if (!order.ok()) return Placed(e.place, std::move(order).error());
      holds = op == "<"    ? *order == -1
              : op == "<=" ? *order == -1 || *order == 0
              : op == ">"  ? *order == 1
                           : *order == 1 || *order == 0;
    }
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Result<Value> Evaluator::SliceOp(const Expression& e) {
  Value self = TRY(EvaluateStrict(*e.children[0]));
  std::optional<int64_t> part[3];
  for (int i = 0; i < 3; ++i) {
    if (!e.children[i + 1]) continue;
    Value v = TRY(EvaluateStrict(*e.children[i + 1]));
    if (v.is_null()) continue;
    if (!v.is_int()) return ErrorAt(e.place, "slice indices must be integers");
    part[i] = v.integer();
  }
  const int64_t step = part[2].value_or(1);
  if (step == 0) return ErrorAt(e.place, "slice step cannot be zero");
  std::vector<std::string> characters;
  int64_t n;
  if (self.is_string()) {
    characters = Characters(self.string());
    n = static_cast<int64_t>(characters.size());
  } else if (self.is_list()) {
    n = static_cast<int64_t>(self.list().size());
  } else {
    return ErrorAt(e.place, fmt::format("{} can't be sliced", self.KindName()));
  }
  auto clamp = [&](std::optional<int64_t> at, int64_t otherwise) {
    if (!at) return otherwise;
    int64_t i = *at < 0 ? *at + n : *at;
    return step > 0 ? std::clamp<int64_t>(i, 0, n) : std::clamp<int64_t>(i, -1, n - 1);
  };
  int64_t from = clamp(part[0], step > 0 ? 0 : n - 1), to = clamp(part[1], step > 0 ? n : -1);
  std::string text;
  List list;
  for (int64_t i = from; step > 0 ? i < to : i > to; i += step) {
    if (self.is_string()) text += characters[static_cast<size_t>(i)];
    else list.push_back(self.list()[static_cast<size_t>(i)]);
    if (step > n || step < -n) break;
  }
  if (self.is_string()) return Value(std::move(text));
  return self.is_tuple() ? Value::Tuple(std::move(list)) : Value(std::move(list));
}

Result<Value> Evaluator::CallOp(const Expression& e) {
  const Expression& callee = *e.children[0];
  List positional;
  Map named;
  if (callee.op == Op::kAttribute) {
    Value self = TRY(EvaluateStrict(*callee.children[0]));
    const auto* loop = self.is_object() ? dynamic_cast<const LoopObject*>(self.object().get()) : nullptr;
    if (loop != nullptr && callee.name == "cycle") {
      TRY(Arguments(e.arguments, &positional, &named));
      return loop->Cycle(positional);
    }
    if (!self.is_object() && HasMethod(self, callee.name)) {
      TRY(Arguments(e.arguments, &positional, &named));
      Result<Value> value = CallMethod(self, callee.name, positional, named);
      if (!value.ok()) return Placed(e.place, std::move(value).error());
      return value;
    }
  }
  if (callee.op == Op::kName) {
    if (callee.name == "range" || callee.name == "dict") {
      TRY(Arguments(e.arguments, &positional, &named));
      if (callee.name == "dict") {
        Map map = positional.empty() || !positional[0].is_map() ? Map() : positional[0].map();
        for (const auto& [key, value] : named) map.Set(key, value);
        return Value(std::move(map));
      }
      int64_t bounds[3] = {0, 0, 1};
      if (positional.empty() || positional.size() > 3) return ErrorAt(e.place, "range takes 1 to 3 arguments");
      for (size_t i = 0; i < positional.size(); ++i) {
        if (!positional[i].is_int()) return ErrorAt(e.place, "range takes integers");
        bounds[positional.size() == 1 ? 1 : i] = positional[i].integer();
      }
      if (bounds[2] == 0) return ErrorAt(e.place, "range() arg 3 must not be zero");
      List list;
      for (int64_t i = bounds[0]; bounds[2] > 0 ? i < bounds[1] : i > bounds[1]; i += bounds[2]) {
        if (list.size() >= 100'000) return ErrorAt(e.place, "range of more than 100,000");
        list.push_back(Value(i));
      }
      return Value(std::move(list));
    }
  }
  Value function = TRY(EvaluateStrict(callee));
  TRY(Arguments(e.arguments, &positional, &named));
  if (!function.is_object()) return ErrorAt(e.place, fmt::format("{} is not callable", function.KindName()));
  for (const Value& v : positional)
    if (v.is_undefined()) return ErrorAt(e.place, v.hint());
  for (const auto& [key, v] : named)
    if (v.is_undefined()) return ErrorAt(e.place, v.hint());
  Result<Value> value = function.object()->Call(positional, named);
  if (!value.ok()) return Placed(e.place, std::move(value).error());
  return value;
}

}  // namespace tailrace::workflow::jinja

namespace tailrace::workflow {

Result<Value> MapScope::Lookup(const std::string& name) const {
  const Value* value = map_.Find(name);
  if (value == nullptr) return NotFound(name);
  return *value;
}

bool HasTemplate(const std::string& text) {
  for (size_t i = text.find('{'); i != std::string::npos; i = text.find('{', i + 1))
    if (i + 1 < text.size() && (text[i + 1] == '{' || text[i + 1] == '%' || text[i + 1] == '#')) return true;
  return false;
}

Status CheckTemplate(const std::string& text) {
  if (!HasTemplate(text)) return {};
  TRY(jinja::ParseTemplate(text));
  return {};
}

Result<std::string> Render(const std::string& text, const Scope& scope, const TemplateLimits& limits) {
  std::string source = text;
  if (!source.empty() && source.back() == '\n') source.pop_back();  // keep_trailing_newline is off, as in Airflow
  if (!HasTemplate(source)) return source;
  jinja::Nodes nodes = TRY(jinja::ParseTemplate(source));
  std::string out;
  TRY(jinja::Evaluator(scope, limits).Run(nodes, &out));
  return out;
}

Result<Value> EvaluateExpression(const std::string& expression, const Scope& scope, const TemplateLimits& limits) {
  jinja::ExpressionPtr parsed = TRY(jinja::ParseExpression(expression));
  Value value = TRY(jinja::Evaluator(scope, limits).Evaluate(*parsed));
  if (value.is_undefined()) return InvalidArgument("template: " + value.hint());
  return value;
}

Result<Value> RenderDeep(const Value& value, const Scope& scope, const TemplateLimits& limits) {
  if (value.is_string()) return Value(TRY(Render(value.string(), scope, limits)));
  if (value.is_list()) {
    List list;
    for (const Value& item : value.list()) list.push_back(TRY(RenderDeep(item, scope, limits)));
    return Value(std::move(list));
  }
  if (value.is_map()) {
    Map map;
    for (const auto& [key, item] : value.map()) map.Set(key, TRY(RenderDeep(item, scope, limits)));
    return Value(std::move(map));
  }
  return value;
}

}  // namespace tailrace::workflow
