#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sql/tokenizer.h"

namespace tailrace::sql {

/// SQL put together from pieces of the user's file and generated words, which can tell for each of its bytes where in
/// the file that came from.
class MappedText {
 public:
  /// Generated text; errors inside it are reported at the piece before it, or after it at the start.
  MappedText& Add(std::string_view generated);
  /// Stands for the piece [begin, end) of the file.
  MappedText& Add(std::string_view generated, std::shared_ptr<const SourceText> source, size_t begin);
  /// The piece itself.
  MappedText& Copy(std::shared_ptr<const SourceText> source, size_t begin, size_t end);
  MappedText& Add(const MappedText& other);

  const std::string& text() const { return text_; }
  SourceLocation At(size_t offset) const;

 private:
  struct Piece {
    size_t at;  // in text_
    size_t length;
    std::shared_ptr<const SourceText> source;
    size_t begin;   // in source
    bool verbatim;  // offsets inside count
  };
  std::string text_;
  std::vector<Piece> pieces_;  // ascending, of the file only
};

}  // namespace tailrace::sql
