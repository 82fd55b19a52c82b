#include "sql/mapped_text.h"

#include <algorithm>

namespace tailrace::sql {

MappedText& MappedText::Add(std::string_view generated) {
  text_ += generated;
  return *this;
}

MappedText& MappedText::Add(std::string_view generated, std::shared_ptr<const SourceText> source, size_t begin) {
  pieces_.push_back({text_.size(), generated.size(), std::move(source), begin, false});
  text_ += generated;
  return *this;
}

MappedText& MappedText::Copy(std::shared_ptr<const SourceText> source, size_t begin, size_t end) {
  const std::string_view piece = source->text().substr(begin, end - begin);
  pieces_.push_back({text_.size(), piece.size(), std::move(source), begin, true});
  text_ += piece;
  return *this;
}

MappedText& MappedText::Add(const MappedText& other) {
  for (Piece piece : other.pieces_) {
    piece.at += text_.size();
    pieces_.push_back(std::move(piece));
  }
  text_ += other.text_;
  return *this;
}

SourceLocation MappedText::At(size_t offset) const {
  if (pieces_.empty()) return {};
  auto after = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                [](size_t wanted, const Piece& piece) { return wanted < piece.at; });
  const Piece& piece = after == pieces_.begin() ? pieces_.front() : *std::prev(after);
  const size_t inside = piece.verbatim && offset > piece.at ? std::min(offset - piece.at, piece.length) : 0;
  return piece.source->At(piece.begin + inside);
}

}  // namespace tailrace::sql
