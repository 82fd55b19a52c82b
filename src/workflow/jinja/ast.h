#pragma once

#include <memory>
#include <string>
#include <vector>

#include "workflow/model/value.h"

namespace tailrace::workflow::jinja {

struct Place {
  int line = 1, column = 1;
};

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Argument {
  std::string name;  // empty: positional
  ExpressionPtr value;
};

enum class Op {
  kLiteral,
  kName,
  kList,
  kTuple,
  kDict,
  kAttribute,
  kSubscript,
  kSlice,
  kCall,
  kFilter,
  kTest,
  kNot,
  kNegative,
  kPositive,
  kOr,
  kAnd,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kConcat,
  kCompare,      // names[i] is the operator before children[i + 1]
  kConditional,  // children: condition, then, else (may be null)
};

struct Expression {
  Op op;
  Place place;
  Value literal;
  std::string name;  // of attribute, filter, test
  std::vector<std::string> names;
  std::vector<ExpressionPtr> children;
  std::vector<Argument> arguments;
  bool negated = false;  // is not
};

struct Node;
using Nodes = std::vector<std::unique_ptr<Node>>;

struct Node {
  enum class Kind { kText, kOutput, kIf, kFor, kSet, kSetBlock, kDo, kWith };
  Kind kind;
  Place place;
  std::string text;
  std::vector<std::string> targets;  // for, set, with
  std::vector<ExpressionPtr>
      expressions;            // output: 1; if: one a branch; for: iterable, filter (may be null); set, do: 1
  std::vector<Nodes> bodies;  // if: one a branch and the else; for: body, else
};

}  // namespace tailrace::workflow::jinja
