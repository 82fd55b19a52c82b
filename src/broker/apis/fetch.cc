// Fetch: batches of many partitions, waiting for them where there are none yet. Batches go from the page cache to the
// socket by sendfile, or in one small read where they are few.

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "broker/apis/registry.h"
#include "broker/broker.h"
#include "broker/fetch_sessions.h"
#include "broker/metrics.h"
#include "broker/topics.h"
#include "io/event_loop.h"
#include "io/file.h"
#include "log/partition.h"
#include "wire/messages/fetch.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;

constexpr int64_t kBytesMax = 57'671'680;     // fetch.max.bytes of a broker
constexpr int64_t kWaitMsMax = 60'000;        // a client may ask again
constexpr uint32_t kSendfileMin = 16 * 1024;  // below, one read and one shared send cost less than a call of sendfile
constexpr int32_t kSessionFinal = -1, kSessionInitial = 0;

/// The encoder of messages knows bytes only. A range of a file stands in the message as a view of its length at
/// kPlaceholders + its number; nobody reads through it, and it is replaced when the message is cut into pieces.
constexpr size_t kPlaceholdersMax = 1 << 16;
const char kPlaceholders[kPlaceholdersMax] = {};
static_assert(kSendfileMin >= wire::ByteChain::kShareMin, "a placeholder would be copied");

struct Item {
  FetchWant want;
  FetchSession::Entry* entry = nullptr;  // null without a session
  std::shared_ptr<log::Partition> partition;
  KafkaError error = KafkaError::kNone;
  log::ReadResult read;
  int64_t read_bytes = 0;
  uint64_t waiter = 0;
};

class FetchOperation : public std::enable_shared_from_this<FetchOperation> {
 public:
  FetchOperation(Parts& parts, CallPtr call) : parts_(parts), call_(std::move(call)) {}
  ~FetchOperation() {
    DropWaiters();
    ReleaseSession();
  }

  Status Start() {
    auto request = TRY(wire::FetchRequest::Decode(call_->body(), call_->version()));
    call_->ReleaseFrame();
    min_bytes_ = std::max(request.min_bytes, 0);
    max_bytes_ = std::clamp<int64_t>(request.max_bytes, 0, kBytesMax);
    isolation_ = request.isolation_level == 1 ? log::Isolation::kReadCommitted : log::Isolation::kReadUncommitted;
    if (!ResolveSession(request)) return Ok();
    int64_t wait_ms = std::clamp<int64_t>(request.max_wait_ms, 0, kWaitMsMax);
    if (ReadAll() || wait_ms == 0) {
      Answer();
      return Ok();
    }
    timer_ = call_->loop().After(wait_ms, [self = shared_from_this()] {
      self->timer_ = {0, 0};
      if (self->answered_) return;
      self->DropWaiters();
      self->ReadAll();
      self->Answer();
    });
    call_->WhenGone([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->GiveUp();
    });
    Wait();
    return Ok();
  }

 private:
  bool by_id() const { return call_->version() >= 13; }

  /// False where the answer is an error and has been sent.
  bool ResolveSession(wire::FetchRequest& request) {
    std::vector<FetchWant> wants;
    for (auto& topic : request.topics) {
      for (auto& p : topic.partitions) {
        wants.push_back({topic.topic, topic.topic_id.bytes, p.partition, p.fetch_offset, p.partition_max_bytes,
                         p.current_leader_epoch});
      }
    }
    bool sessions = call_->version() >= 7;
    if (!sessions || request.session_epoch == kSessionFinal || request.session_epoch == kSessionInitial) {
      if (sessions && request.session_id != 0) parts_.fetch_sessions.Remove(request.session_id);
      if (sessions && request.session_epoch == kSessionInitial && wants.size() <= FetchSession::kPartitionsMax) {
        session_ = parts_.fetch_sessions.Create();
      }
      if (!session_) {
        for (FetchWant& want : wants) AddItem(std::move(want), nullptr);
        return true;
      }
      for (FetchWant& want : wants) session_->Put(std::move(want));
    } else {
      KafkaError error = KafkaError::kNone;
      session_ = parts_.fetch_sessions.Use(request.session_id, request.session_epoch, &error);
      if (!session_) {
        wire::FetchResponse response;
        response.error_code = call_->Code(error);
        call_->Respond(response);
        return false;
      }
      incremental_ = true;
      for (auto& topic : request.forgotten_topics) {
        for (int32_t partition : topic.partitions) { session_->Forget({topic.topic, topic.topic_id.bytes, partition}); }
      }
      for (FetchWant& want : wants) session_->Put(std::move(want));
    }
    size_t n = session_->entries.size();
    if (session_->first >= n) session_->first = 0;
    for (size_t i = 0; i < n; ++i) {
      auto& entry = session_->entries[(session_->first + i) % n];
      AddItem(entry.want, &entry);
    }
    return true;
  }

  void AddItem(FetchWant want, FetchSession::Entry* entry) {
    Item& item = items_.emplace_back();
    item.entry = entry;
    TopicPtr topic = by_id() ? parts_.topics.FindById(want.topic_id) : parts_.topics.Find(want.topic);
    if (topic && want.partition >= 0 && want.partition < static_cast<int32_t>(topic->partitions.size())) {
      item.partition = topic->partitions[static_cast<size_t>(want.partition)];
    }
    if (!item.partition) {
      item.error = !topic && by_id() ? KafkaError::kUnknownTopicId : KafkaError::kUnknownTopicOrPartition;
    } else if (want.current_leader_epoch > 0) {
      item.error = KafkaError::kUnknownLeaderEpoch;
    }
    item.want = std::move(want);
  }

  /// True where the answer can go out: enough bytes, or an error.
  bool ReadAll() {
    int64_t left = max_bytes_, total = 0;
    bool any_error = false;
    for (Item& item : items_) {
      item.read = {};
      item.read_bytes = 0;
      if (!item.partition) {
        any_error = true;
        continue;
      }
      if (item.error == KafkaError::kUnknownLeaderEpoch) {
        any_error = true;
        continue;
      }
      item.error = KafkaError::kNone;
      auto limit = static_cast<uint32_t>(std::clamp<int64_t>(item.want.max_bytes, 0, left));
      auto read = item.partition->ReadRange(item.want.offset, limit, total == 0, isolation_);
      if (!read.ok()) {
        any_error = true;
        switch (read.error().code()) {
          case ErrorCode::kInvalidArgument: item.error = KafkaError::kOffsetOutOfRange; break;
          case ErrorCode::kNotFound: item.error = KafkaError::kUnknownTopicOrPartition; break;
          case ErrorCode::kCorrupt: item.error = KafkaError::kCorruptMessage; break;
          default: item.error = KafkaError::kKafkaStorageError;
        }
        item.read.ends = item.partition->Ends();
        continue;
      }
      item.read = std::move(read).value();
      item.read_bytes = item.read.range.length;
      total += item.read_bytes;
      left = std::max<int64_t>(left - item.read_bytes, 0);
    }
    return any_error || total >= min_bytes_ || items_.empty();
  }

  void Wait() {
    woken_ = false;
    for (Item& item : items_) {
      if (!item.partition) continue;
      int64_t seen = isolation_ == log::Isolation::kReadCommitted ? item.read.ends.last_stable_offset
                                                                  : item.read.ends.high_watermark;
      // Where this partition's bytes were left out for the limit, more of them change nothing.
      std::weak_ptr<FetchOperation> weak = weak_from_this();
      item.waiter = item.partition->AddWaiter(std::max(seen, item.want.offset), isolation_, [weak] {
        auto self = weak.lock();
        if (!self || self->woken_.exchange(true)) return;
        self->call_->loop().Post([self] { self->Resume(); });
      });
    }
  }

  void Resume() {
    if (answered_) return;
    DropWaiters();
    if (ReadAll()) return Answer();
    Wait();
  }

  /// Nobody is there to be answered; the session is free for the client's next connection.
  void GiveUp() {
    answered_ = true;
    call_->loop().Cancel(&timer_);
    DropWaiters();
    ReleaseSession();
    call_->RespondNothing();
  }

  void ReleaseSession() {
    if (session_) parts_.fetch_sessions.Release(*session_);
    session_.reset();
  }

  void DropWaiters() {
    for (Item& item : items_) {
      if (item.waiter != 0) item.partition->RemoveWaiter(item.waiter);
      item.waiter = 0;
    }
  }

  void Answer() {
    answered_ = true;
    call_->loop().Cancel(&timer_);
    wire::FetchResponse response;
    response.session_id = session_ ? session_->id : 0;
    std::vector<log::FileRange> files;
    wire::FetchResponse::Topic* topic = nullptr;
    for (size_t i = 0; i < items_.size(); ++i) {
      Item& item = items_[i];
      const log::PartitionEnds& ends = item.read.ends;
      if (FetchSession::Entry* e = item.entry) {
        bool news = item.read_bytes > 0 || item.error != KafkaError::kNone || e->sent_error != item.error ||
                    e->sent_high_watermark != ends.high_watermark || e->sent_log_start != ends.log_start_offset;
        if (incremental_ && !news) continue;
        e->sent_error = item.error;
        e->sent_high_watermark = ends.high_watermark;
        e->sent_log_start = ends.log_start_offset;
        if (item.read_bytes > 0)
          session_->first = (static_cast<size_t>(e - session_->entries.data()) + 1) % session_->entries.size();
      }
      if (!topic || topic->topic != item.want.topic || topic->topic_id.bytes != item.want.topic_id) {
        topic = &response.topics.emplace_back();
        topic->topic = item.want.topic;
        topic->topic_id.bytes = item.want.topic_id;
      }
      auto& p = topic->partitions.emplace_back();
      p.partition = item.want.partition;
      p.error_code = call_->Code(item.error);
      p.high_watermark = item.partition ? ends.high_watermark : -1;
      p.last_stable_offset = item.partition ? ends.last_stable_offset : -1;
      p.log_start_offset = item.partition ? ends.log_start_offset : -1;
      if (isolation_ == log::Isolation::kReadCommitted) {
        p.aborted_transactions.emplace();
        for (const auto& aborted : item.read.aborted)
          p.aborted_transactions->push_back({aborted.producer_id, aborted.first_offset});
      }
      if (item.read_bytes > 0) AddRecords(item, &files, &p);
    }
    ReleaseSession();  // before the client can have the answer and ask again
    call_->Send(Cut(wire::EncodeResponseFrame(response, call_->version(), call_->header().correlation_id), files));
  }

  void AddRecords(Item& item, std::vector<log::FileRange>* files, wire::FetchResponse::Topic::Partition* p) {
    log::FileRange& range = item.read.range;
    if (range.length >= kSendfileMin && files->size() < kPlaceholdersMax) {
      p->records.chain.push_back({nullptr, BytesView(kPlaceholders + files->size(), range.length)});
      files->push_back(std::move(range));
    } else {
      auto bytes = std::make_shared_for_overwrite<char[]>(range.length);
      Status status = range.file->ReadExactlyAt(bytes.get(), range.length, range.position);
      if (!status.ok()) {
        p->error_code = call_->Code(KafkaError::kKafkaStorageError);
        return;
      }
      p->records.chain.push_back({bytes, BytesView(bytes.get(), range.length)});
    }
    parts_.metrics.bytes_out.fetch_add(static_cast<uint64_t>(item.read_bytes), std::memory_order_relaxed);
  }

  static io::OutChain Cut(wire::ByteChain message, std::vector<log::FileRange>& files) {
    io::OutChain chain;
    auto owner = std::make_shared<wire::ByteChain>(std::move(message));
    owner->ForEach([&](BytesView piece) {
      if (piece.data() >= kPlaceholders && piece.data() < kPlaceholders + kPlaceholdersMax) {
        log::FileRange& range = files[static_cast<size_t>(piece.data() - kPlaceholders)];
        CHECK(range.length == piece.size());
        int fd = range.file->fd();
        chain.push_back(io::OutPiece::Of(
            io::FileRange{std::move(range.file), fd, static_cast<int64_t>(range.position), range.length}));
      } else {
        chain.push_back(io::OutPiece::Of(SharedBytes{owner, piece}));
      }
    });
    return chain;
  }

  Parts& parts_;
  const CallPtr call_;
  int64_t min_bytes_ = 1, max_bytes_ = kBytesMax;
  log::Isolation isolation_ = log::Isolation::kReadUncommitted;
  std::shared_ptr<FetchSession> session_;
  bool incremental_ = false;
  std::vector<Item> items_;
  io::EventLoop::TimerId timer_{0, 0};
  std::atomic<bool> woken_{false};
  bool answered_ = false;
};

}  // namespace

Status HandleFetch(Parts& parts, const CallPtr& call) { return std::make_shared<FetchOperation>(parts, call)->Start(); }

}  // namespace tailrace::broker
