#include "broker/producer_ids.h"

#include <charconv>

#include "log/journal.h"

namespace tailrace::broker {
namespace {
constexpr std::string_view kKey = "p/next";
}

Result<std::unique_ptr<ProducerIds>> ProducerIds::Open(std::shared_ptr<log::Journal> journal) {
  std::unique_ptr<ProducerIds> ids(new ProducerIds(std::move(journal)));
  if (auto text = ids->journal_->Get(kKey)) {
    auto parsed = std::from_chars(text->data(), text->data() + text->size(), ids->next_);
    if (parsed.ec != std::errc() || parsed.ptr != text->data() + text->size() || ids->next_ < 0)
      return Corrupt("the next producer id in meta.journal is '" + *text + "'");
  }
  // What was left of the last block may have been given out.
  ids->reserved_ = ids->next_;
  return ids;
}

Result<int64_t> ProducerIds::Next() {
  std::lock_guard lock(mutex_);
  if (next_ == reserved_) {
    log::JournalBatch batch;
    batch.Put(kKey, std::to_string(reserved_ + kBlock));
    TRY(journal_->Append(batch));
    reserved_ += kBlock;
  }
  return next_++;
}

}  // namespace tailrace::broker
