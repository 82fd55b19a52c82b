#include "workflow/jinja/parser.h"

#include <fmt/format.h>

#include <cstdlib>

#include "workflow/jinja/lexer.h"

namespace tailrace::workflow::jinja {

Error ErrorAt(Place place, std::string message) {
  return InvalidArgument(fmt::format("template: line {}, column {}: {}", place.line, place.column, message));
}

namespace {

constexpr int kDepthMax = 60;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Nodes> Template() {
    Nodes nodes;
    TRY(Body(&nodes, {}));
    return nodes;
  }
  Result<ExpressionPtr> WholeExpression() {
    ExpressionPtr e = TRY(ExpressionOrTuple());
    if (peek().kind != Token::Kind::kEnd) return Unexpected("the end of the expression");
    return e;
  }

 private:
  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token Take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool IsOp(std::string_view op, size_t ahead = 0) const {
    return peek(ahead).kind == Token::Kind::kOperator && peek(ahead).text == op;
  }
  bool IsName(std::string_view name, size_t ahead = 0) const {
    return peek(ahead).kind == Token::Kind::kName && peek(ahead).text == name;
  }
  bool TakeOp(std::string_view op) { return IsOp(op) && (Take(), true); }
  bool TakeName(std::string_view name) { return IsName(name) && (Take(), true); }
  Error Unexpected(std::string_view expected) const {
    const Token& t = peek();
    std::string found;
    switch (t.kind) {
      case Token::Kind::kEnd: found = "the end"; break;
      case Token::Kind::kOutputEnd: found = "}}"; break;
      case Token::Kind::kBlockEnd: found = "%}"; break;
      case Token::Kind::kString: found = "a string"; break;
      default: found = "'" + t.text + "'";
    }
    return ErrorAt(t.place, fmt::format("expected {}, found {}", expected, found));
  }
  Status Expect(std::string_view op) {
    if (!TakeOp(op)) return Unexpected(fmt::format("'{}'", op));
    return {};
  }
  Status ExpectBlockEnd() {
    if (peek().kind != Token::Kind::kBlockEnd) return Unexpected("%}");
    Take();
    return {};
  }

  /// Nodes up to a block that begins with one of `ends`, which is left with its name next.
  Status Body(Nodes* nodes, std::vector<std::string_view> ends) {
    if (++depth_ > kDepthMax) return ErrorAt(peek().place, "nested too deep");
    while (true) {
      Token t = Take();
      if (t.kind == Token::Kind::kEnd) {
        if (!ends.empty()) return ErrorAt(t.place, fmt::format("the template ended; '{}' is missing", ends.back()));
        break;
      }
      if (t.kind == Token::Kind::kText) {
        auto node = Make(Node::Kind::kText, t.place);
        node->text = std::move(t.text);
        nodes->push_back(std::move(node));
      } else if (t.kind == Token::Kind::kOutputBegin) {
        auto node = Make(Node::Kind::kOutput, t.place);
        node->expressions.push_back(TRY(ExpressionOrTuple()));
        if (peek().kind != Token::Kind::kOutputEnd) return Unexpected("}}");
        Take();
        nodes->push_back(std::move(node));
      } else {
        if (peek().kind != Token::Kind::kName) return Unexpected("a tag such as if, for or set");
        for (std::string_view end : ends)
          if (IsName(end)) {
            --depth_;
            return {};
          }
        TRY(Tag(nodes));
      }
    }
    --depth_;
    return {};
  }

  static std::unique_ptr<Node> Make(Node::Kind kind, Place place) {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->place = place;
    return node;
  }

  Status Tag(Nodes* nodes) {
    Token tag = Take();
    if (tag.text == "if") {
      auto node = Make(Node::Kind::kIf, tag.place);
      while (true) {
        node->expressions.push_back(TRY(ExpressionOrTuple()));
        TRY(ExpectBlockEnd());
        TRY(Body(&node->bodies.emplace_back(), {"elif", "else", "endif"}));
        if (TakeName("elif")) continue;
        if (TakeName("else")) {
          TRY(ExpectBlockEnd());
          TRY(Body(&node->bodies.emplace_back(), {"endif"}));
        }
        TakeName("endif");
        break;
      }
      nodes->push_back(std::move(node));
    } else if (tag.text == "for") {
      auto node = Make(Node::Kind::kFor, tag.place);
      node->targets = TRY(Targets());
      if (!TakeName("in")) return Unexpected("'in'");
      no_condition_ = true;  // `for x in y if z`: the if is the loop's
      Result<ExpressionPtr> iterable = ExpressionOrTuple();
      no_condition_ = false;
      node->expressions.push_back(TRY(std::move(iterable)));
      node->expressions.push_back(TakeName("if") ? TRY(Conditional()) : nullptr);
      if (TakeName("recursive")) return ErrorAt(tag.place, "recursive loops are not supported");
      TRY(ExpectBlockEnd());
      TRY(Body(&node->bodies.emplace_back(), {"else", "endfor"}));
      node->bodies.emplace_back();
      if (TakeName("else")) {
        TRY(ExpectBlockEnd());
        TRY(Body(&node->bodies.back(), {"endfor"}));
      }
      TakeName("endfor");
      nodes->push_back(std::move(node));
    } else if (tag.text == "set") {
      auto node = Make(Node::Kind::kSet, tag.place);
      node->targets = TRY(Targets());
      if (TakeOp("=")) {
        node->expressions.push_back(TRY(ExpressionOrTuple()));
      } else {
        node->kind = Node::Kind::kSetBlock;
        TRY(ExpectBlockEnd());
        TRY(Body(&node->bodies.emplace_back(), {"endset"}));
        TakeName("endset");
      }
      nodes->push_back(std::move(node));
    } else if (tag.text == "do") {
      auto node = Make(Node::Kind::kDo, tag.place);
      node->expressions.push_back(TRY(ExpressionOrTuple()));
      nodes->push_back(std::move(node));
    } else if (tag.text == "with") {
      auto node = Make(Node::Kind::kWith, tag.place);
      while (peek().kind == Token::Kind::kName) {
        node->targets.push_back(Take().text);
        TRY(Expect("="));
        node->expressions.push_back(TRY(Conditional()));
        if (!TakeOp(",")) break;
      }
      TRY(ExpectBlockEnd());
      TRY(Body(&node->bodies.emplace_back(), {"endwith"}));
      TakeName("endwith");
      nodes->push_back(std::move(node));
    } else {
      return ErrorAt(tag.place, fmt::format("unknown tag '{}'; known are if, for, set, with, do, raw", tag.text));
    }
    return ExpectBlockEnd();
  }

  Result<std::vector<std::string>> Targets() {
    std::vector<std::string> names;
    bool bracket = TakeOp("(");
    do {
      if (peek().kind != Token::Kind::kName) return Unexpected("a name");
      names.push_back(Take().text);
    } while (TakeOp(","));
    if (bracket) TRY(Expect(")"));
    return names;
  }

  ExpressionPtr Make(Op op, Place place) const {
    auto e = std::make_unique<Expression>();
    e->op = op;
    e->place = place;
    return e;
  }
  ExpressionPtr Binary(Op op, Place place, ExpressionPtr a, ExpressionPtr b) const {
    ExpressionPtr e = Make(op, place);
    e->children.push_back(std::move(a));
    e->children.push_back(std::move(b));
    return e;
  }

  Result<ExpressionPtr> ExpressionOrTuple() {
    Place place = peek().place;
    ExpressionPtr first = TRY(Conditional());
    if (!IsOp(",")) return first;
    ExpressionPtr tuple = Make(Op::kTuple, place);
    tuple->children.push_back(std::move(first));
    while (TakeOp(",")) {
      Token::Kind k = peek().kind;
      if (k == Token::Kind::kOutputEnd || k == Token::Kind::kBlockEnd || k == Token::Kind::kEnd) break;
      tuple->children.push_back(TRY(Conditional()));
    }
    return tuple;
  }

  Result<ExpressionPtr> Conditional() {
    if (++depth_ > kDepthMax) return ErrorAt(peek().place, "nested too deep");
    ExpressionPtr e = TRY(Or());
    while (!no_condition_ && IsName("if")) {
      Place place = Take().place;
      ExpressionPtr node = Make(Op::kConditional, place);
      node->children.push_back(TRY(Or()));
      node->children.push_back(std::move(e));
      node->children.push_back(TakeName("else") ? TRY(Conditional()) : nullptr);
      e = std::move(node);
    }
    --depth_;
    return e;
  }
  Result<ExpressionPtr> Or() {
    ExpressionPtr e = TRY(And());
    while (IsName("or")) {
      Place place = Take().place;
      e = Binary(Op::kOr, place, std::move(e), TRY(And()));
    }
    return e;
  }
  Result<ExpressionPtr> And() {
    ExpressionPtr e = TRY(Not());
    while (IsName("and")) {
      Place place = Take().place;
      e = Binary(Op::kAnd, place, std::move(e), TRY(Not()));
    }
    return e;
  }
  Result<ExpressionPtr> Not() {
    if (IsName("not")) {
      if (++depth_ > kDepthMax) return ErrorAt(peek().place, "nested too deep");
      ExpressionPtr e = Make(Op::kNot, Take().place);
      e->children.push_back(TRY(Not()));
      --depth_;
      return e;
    }
    return Compare();
  }
  Result<ExpressionPtr> Compare() {
    ExpressionPtr first = TRY(Sum());
    ExpressionPtr e;
    while (true) {
      Place place = peek().place;
      std::string op;
      if (peek().kind == Token::Kind::kOperator) {
        for (std::string_view known : {"==", "!=", "<=", ">=", "<", ">"})
          if (IsOp(known)) op = known;
        if (!op.empty()) Take();
      } else if (IsName("in")) {
        Take();
        op = "in";
      } else if (IsName("not") && IsName("in", 1)) {
        Take();
        Take();
        op = "not in";
      }
      if (op.empty()) break;
      if (!e) {
        e = Make(Op::kCompare, place);
        e->children.push_back(std::move(first));
      }
      e->names.push_back(std::move(op));
      e->children.push_back(TRY(Sum()));
    }
    return e ? std::move(e) : std::move(first);
  }
  Result<ExpressionPtr> Sum() {
    ExpressionPtr e = TRY(Concat());
    while (IsOp("+") || IsOp("-")) {
      Token t = Take();
      e = Binary(t.text == "+" ? Op::kAdd : Op::kSubtract, t.place, std::move(e), TRY(Concat()));
    }
    return e;
  }
  Result<ExpressionPtr> Concat() {
    ExpressionPtr e = TRY(Product());
    while (IsOp("~")) {
      Place place = Take().place;
      e = Binary(Op::kConcat, place, std::move(e), TRY(Product()));
    }
    return e;
  }
  Result<ExpressionPtr> Power() {  // from the left, unlike Python's
    ExpressionPtr e = TRY(Unary());
    while (IsOp("**")) {
      Place place = Take().place;
      e = Binary(Op::kPower, place, std::move(e), TRY(Unary()));
    }
    return e;
  }
  Result<ExpressionPtr> Product() {
    ExpressionPtr e = TRY(Power());
    while (IsOp("*") || IsOp("/") || IsOp("//") || IsOp("%")) {
      Token t = Take();
      Op op = t.text == "*"    ? Op::kMultiply
              : t.text == "/"  ? Op::kDivide
              : t.text == "//" ? Op::kFloorDivide
                               : Op::kModulo;
      e = Binary(op, t.place, std::move(e), TRY(Power()));
    }
    return e;
  }
  Result<ExpressionPtr> Unary(bool with_filter = true) {
    if (++depth_ > kDepthMax) return ErrorAt(peek().place, "nested too deep");
    ExpressionPtr e;
    if (IsOp("-") || IsOp("+")) {
      Token t = Take();
      e = Make(t.text == "-" ? Op::kNegative : Op::kPositive, t.place);
      e->children.push_back(TRY(Unary(false)));
    } else {
      e = TRY(Primary());
    }
    e = TRY(Postfix(std::move(e), false));
    if (with_filter) e = TRY(Postfix(std::move(e), true));
    --depth_;
    return e;
  }

  Result<ExpressionPtr> Primary() {
    Token t = Take();
    switch (t.kind) {
      case Token::Kind::kName: {
        ExpressionPtr e = Make(Op::kLiteral, t.place);
        if (t.text == "true" || t.text == "True") e->literal = Value(true);
        else if (t.text == "false" || t.text == "False") e->literal = Value(false);
        else if (t.text == "none" || t.text == "None") e->literal = Value();
        else e->op = Op::kName, e->name = t.text;
        return e;
      }
      case Token::Kind::kInteger: {
        ExpressionPtr e = Make(Op::kLiteral, t.place);
        errno = 0;
        e->literal = Value(static_cast<int64_t>(strtoll(t.text.c_str(), nullptr, 10)));
        if (errno != 0) return ErrorAt(t.place, "the integer is too large");
        return e;
      }
      case Token::Kind::kFloat: {
        ExpressionPtr e = Make(Op::kLiteral, t.place);
        e->literal = Value(strtod(t.text.c_str(), nullptr));
        return e;
      }
      case Token::Kind::kString: {
        ExpressionPtr e = Make(Op::kLiteral, t.place);
        std::string text = std::move(t.text);
        while (peek().kind == Token::Kind::kString) text += Take().text;
        e->literal = Value(std::move(text));
        return e;
      }
      case Token::Kind::kOperator: {
        const bool outer = std::exchange(no_condition_, false);
        Result<ExpressionPtr> e = Bracketed(t);
        no_condition_ = outer;
        return e;
      }
      default: --at_; return Unexpected("an expression");
    }
  }

  Result<ExpressionPtr> Bracketed(const Token& t) {
    if (t.text == "(") {
      if (TakeOp(")")) return Make(Op::kTuple, t.place);
      ExpressionPtr first = TRY(Conditional());
      if (!IsOp(",")) {
        TRY(Expect(")"));
        return first;
      }
      ExpressionPtr tuple = Make(Op::kTuple, t.place);
      tuple->children.push_back(std::move(first));
      while (TakeOp(",") && !IsOp(")")) tuple->children.push_back(TRY(Conditional()));
      TRY(Expect(")"));
      return tuple;
    }
    if (t.text == "[") {
      ExpressionPtr list = Make(Op::kList, t.place);
      while (!IsOp("]")) {
        list->children.push_back(TRY(Conditional()));
        if (!TakeOp(",")) break;
      }
      TRY(Expect("]"));
      return list;
    }
    if (t.text == "{") {
      ExpressionPtr dict = Make(Op::kDict, t.place);
      while (!IsOp("}")) {
        dict->children.push_back(TRY(Conditional()));
        TRY(Expect(":"));
        dict->children.push_back(TRY(Conditional()));
        if (!TakeOp(",")) break;
      }
      TRY(Expect("}"));
      return dict;
    }
    --at_;
    return Unexpected("an expression");
  }

  Result<std::vector<Argument>> Arguments() {
    std::vector<Argument> arguments;
    const bool outer = std::exchange(no_condition_, false);
    while (!IsOp(")")) {
      Argument a;
      if (peek().kind == Token::Kind::kName && IsOp("=", 1)) {
        a.name = Take().text;
        Take();
      }
      a.value = TRY(Conditional());
      arguments.push_back(std::move(a));
      if (!TakeOp(",")) break;
    }
    no_condition_ = outer;
    TRY(Expect(")"));
    return arguments;
  }

  /// .name [i] (…) and, with `filters`, |filter and is test.
  Result<ExpressionPtr> Postfix(ExpressionPtr e, bool filters) {
    for (int count = 0;; ++count) {
      if (count > 1000) return ErrorAt(peek().place, "too long a chain");
      Place place = peek().place;
      if (TakeOp(".")) {
        Token name = Take();
        ExpressionPtr node = Make(Op::kAttribute, place);
        if (name.kind == Token::Kind::kInteger) {
          node->op = Op::kSubscript;
          node->children.push_back(std::move(e));
          ExpressionPtr index = Make(Op::kLiteral, name.place);
          index->literal = Value(static_cast<int64_t>(strtoll(name.text.c_str(), nullptr, 10)));
          node->children.push_back(std::move(index));
        } else {
          if (name.kind != Token::Kind::kName) return ErrorAt(name.place, "expected a name after '.'");
          node->name = name.text;
          node->children.push_back(std::move(e));
        }
        e = std::move(node);
      } else if (TakeOp("[")) {
        const bool outer = std::exchange(no_condition_, false);
        ExpressionPtr from, to, step;
        bool slice = false;
        if (!IsOp(":")) from = TRY(ExpressionOrTuple());
        if (TakeOp(":")) {
          slice = true;
          if (!IsOp("]") && !IsOp(":")) to = TRY(Conditional());
          if (TakeOp(":") && !IsOp("]")) step = TRY(Conditional());
        }
        no_condition_ = outer;
        TRY(Expect("]"));
        ExpressionPtr node = Make(slice ? Op::kSlice : Op::kSubscript, place);
        node->children.push_back(std::move(e));
        node->children.push_back(std::move(from));
        if (slice) {
          node->children.push_back(std::move(to));
          node->children.push_back(std::move(step));
        }
        e = std::move(node);
      } else if (TakeOp("(")) {
        ExpressionPtr node = Make(Op::kCall, place);
        node->children.push_back(std::move(e));
        node->arguments = TRY(Arguments());
        e = std::move(node);
      } else if (filters && TakeOp("|")) {
        if (peek().kind != Token::Kind::kName) return Unexpected("a filter's name");
        ExpressionPtr node = Make(Op::kFilter, place);
        node->name = Take().text;
        node->children.push_back(std::move(e));
        if (TakeOp("(")) node->arguments = TRY(Arguments());
        e = std::move(node);
      } else if (filters && IsName("is")) {
        Take();
        ExpressionPtr node = Make(Op::kTest, place);
        node->negated = TakeName("not");
        if (peek().kind != Token::Kind::kName) return Unexpected("a test's name");
        node->name = Take().text;
        node->children.push_back(std::move(e));
        if (TakeOp("(")) {
          node->arguments = TRY(Arguments());
        } else if (StartsArgument()) {  // `is divisibleby 3`
          Argument a;
          a.value = TRY(Primary());
          a.value = TRY(Postfix(std::move(a.value), false));
          node->arguments.push_back(std::move(a));
        }
        e = std::move(node);
      } else {
        return e;
      }
    }
  }

  bool StartsArgument() const {
    const Token& t = peek();
    if (t.kind == Token::Kind::kInteger || t.kind == Token::Kind::kFloat || t.kind == Token::Kind::kString) return true;
    if (t.kind == Token::Kind::kOperator) return t.text == "[" || t.text == "{";
    if (t.kind != Token::Kind::kName) return false;
    for (std::string_view word : {"and", "or", "not", "if", "else", "is", "in", "recursive"})
      if (t.text == word) return false;
    return true;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  bool no_condition_ = false;
};

}  // namespace

Result<Nodes> ParseTemplate(const std::string& text) {
  Parser parser(TRY(Lex(text, false)));
  return parser.Template();
}

Result<ExpressionPtr> ParseExpression(const std::string& text) {
  Parser parser(TRY(Lex(text, true)));
  return parser.WholeExpression();
}

}  // namespace tailrace::workflow::jinja
