#pragma once

#include <string>

#include "base/result.h"
#include "workflow/jinja/ast.h"

namespace tailrace::workflow::jinja {

Result<Nodes> ParseTemplate(const std::string& text);
Result<ExpressionPtr> ParseExpression(const std::string& text);

Error ErrorAt(Place place, std::string message);

}  // namespace tailrace::workflow::jinja
