#pragma once

#include <vector>

#include "base/result.h"
#include "data/types.h"
#include "sql/tokenizer.h"

namespace tailrace::sql {

/// Tokens of one source with a position. The source outlives it.
class TokenCursor {
 public:
  TokenCursor(const SourceText& source, std::vector<Token> tokens) : source_(source), tokens_(std::move(tokens)) {}

  const Token& Peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  const Token& Next() { return tokens_[at_ < tokens_.size() - 1 ? at_++ : at_]; }
  bool AtEnd() const { return Peek().kind == Token::Kind::kEnd; }
  /// Takes the token where it is that keyword or symbol.
  bool Accept(std::string_view keyword_or_symbol);
  bool AcceptAll(std::initializer_list<std::string_view> keywords);
  Status Expect(std::string_view keyword_or_symbol);
  Result<std::string> ExpectIdentifier(std::string_view what);
  Result<std::string> ExpectString(std::string_view what);
  /// Takes '>' also where the tokenizer saw '>>'.
  bool AcceptCloseAngle();

  SourceLocation Here() const { return source_.At(Peek().begin); }
  SourceLocation At(const Token& token) const { return source_.At(token.begin); }
  /// "expected X, found Y", at the current token.
  Error Expected(std::string_view what) const;
  const SourceText& source() const { return source_; }
  size_t position() const { return at_; }

 private:
  const SourceText& source_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

/// A column type in Flink's or DuckDB's spelling. Nested at most 32 deep.
Result<data::Type> ParseType(TokenCursor& cursor);

}  // namespace tailrace::sql
