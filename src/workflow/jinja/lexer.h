#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "workflow/jinja/ast.h"

namespace tailrace::workflow::jinja {

struct Token {
  enum class Kind {
    kText,
    kOutputBegin,
    kOutputEnd,
    kBlockBegin,
    kBlockEnd,
    kName,
    kInteger,
    kFloat,
    kString,
    kOperator,
    kEnd
  };
  Kind kind;
  std::string text;
  Place place;
};

/// `expression`: the whole text is one expression, without braces.
Result<std::vector<Token>> Lex(const std::string& text, bool expression);

}  // namespace tailrace::workflow::jinja
