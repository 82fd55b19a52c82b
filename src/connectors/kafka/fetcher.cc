#include "connectors/kafka/fetcher.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/logging.h"
#include "base/waker.h"
#include "connectors/kafka/broker_connection.h"
#include "connectors/kafka/rdkafka_handle.h"
#include "wire/messages/fetch.h"
#include "wire/messages/metadata.h"
#include "wire/record_batch.h"

namespace tailrace::connectors {

namespace {

using wire::KafkaError;
using AbortedTransaction = wire::FetchResponse::Topic::Partition::AbortedTransaction;

constexpr int32_t kPartitionBytes = 1 << 20;  // of one answer, as the Java consumer asks
constexpr int32_t kAnswerBytes = 4 << 20;
constexpr size_t kQueuedBytesMax = 4 << 20;  // of a partition: fetched, not yet asked for
constexpr size_t kQueuedBytesOfAll = 64 << 20;
constexpr int32_t kWaitMs = 100;     // how long a broker may hold a request without an answer
constexpr int32_t kWaitShortMs = 5;  // while a partition is left out because it has enough
constexpr int64_t kRetryMs = 100, kConnectRetryMs = 500;
constexpr int64_t kUnknownMsMax = 3000;  // a partition may be unknown for so long before it counts as gone
constexpr int16_t kMetadataVersion = 7;

int64_t NowMs() { return Clock::System().MonotonicMs(); }

/// One partition's part of an answer.
struct Fetched {
  std::shared_ptr<const void> owner;
  BytesView batches;
  std::vector<AbortedTransaction> aborted;
};

/// What a reader and the thread of its partition's leader share.
struct Feed {
  TopicPartition from;
  log::Isolation isolation;

  std::mutex mutex;
  std::condition_variable answered;
  Waker* waker = nullptr;  // null once the reader has gone
  bool closed = false;
  int64_t next = 0;         // what to fetch
  uint64_t generation = 0;  // of Seeks: an answer to what was asked before one is dropped
  std::deque<Fetched> queue;
  size_t queued_bytes = 0, queued_bytes_max = kQueuedBytesMax;
  int64_t end = -1;  // high watermark or last stable offset, as last told
  std::optional<Error> error;
  int64_t retry_at_ms = 0;

  // Of the leader's thread alone.
  int64_t unknown_since_ms = -1;

  void Fail(Error what) {
    error = std::move(what);
    answered.notify_all();
    if (waker) waker->Wake();
  }
};
using FeedPtr = std::shared_ptr<Feed>;

/// Last offset and one: where the answer's last whole batch ends. An error where it holds none, or no batches.
Result<int64_t> NextOffset(BytesView batches) {
  int64_t next = -1;
  for (BytesView rest = batches; !rest.empty();) {
    auto batch = TRY(wire::BatchView::Parse(rest));
    next = batch.next_offset();
    rest.remove_prefix(batch.size());
  }
  return next;
}

}  // namespace

class Fetcher::Cluster {
 public:
  explicit Cluster(const std::string& bootstrap) : bootstrap_(ParseBootstrap(bootstrap)) {}
  ~Cluster() {
    stop_ = true;
    Wake();
    brokers_.clear();
  }

  /// A reader has room again, or wants something else.
  void Wake() {
    std::lock_guard lock(mutex_);
    for (auto& [address, broker] : brokers_) broker->Wake();
  }

  /// Gives the feed to the thread of its partition's leader.
  Status Assign(const FeedPtr& feed) {
    Give(feed, TRY(FindLeader(feed->from)));
    return Ok();
  }

  bool stopping() const { return stop_; }

 private:
  /// Fetches from one broker, on a thread of its own.
  class Broker {
   public:
    Broker(Cluster& cluster, BrokerAddress address)
        : cluster_(cluster), address_(std::move(address)), thread_([this] { Main(); }) {
      pthread_setname_np(thread_.native_handle(), "kafka fetch");
    }
    ~Broker() {
      if (thread_.joinable()) thread_.join();
    }
    void Add(FeedPtr feed) {
      std::lock_guard lock(mutex_);
      feeds_.push_back(std::move(feed));
      changed_ = true;
      cv_.notify_one();
    }
    void Wake() {
      std::lock_guard lock(mutex_);
      changed_ = true;
      cv_.notify_one();
    }

   private:
    /// A feed asked about, as it was then.
    struct Asked {
      FeedPtr feed;
      int64_t offset;
      uint64_t generation;
    };

    void Main() {
      while (!cluster_.stopping()) {
        bool left_out = false;
        int64_t wait_ms = 0;
        std::vector<Asked> due = Due(&left_out, &wait_ms);
        if (due.empty()) {
          std::unique_lock lock(mutex_);
          cv_.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return changed_; });
          changed_ = false;
          continue;
        }
        if (Status fetched = Fetch(due, left_out ? kWaitShortMs : kWaitMs); !fetched.ok()) {
          if (cluster_.stopping()) return;
          LogInfo("kafka", fetched.error().ToString());
          connection_.reset();
          bool somebody_answers = true;
          for (Asked& asked : due) {
            if (fetched.error().code() == ErrorCode::kUnavailable) {
              Later(asked.feed, kConnectRetryMs);
              somebody_answers = somebody_answers && Relocate(asked.feed);
            } else {
              std::lock_guard lock(asked.feed->mutex);
              asked.feed->Fail(fetched.error());
            }
          }
        }
      }
    }

    /// Those with room and without an error; drops those whose readers have gone.
    std::vector<Asked> Due(bool* left_out, int64_t* wait_ms) {
      std::vector<Asked> due;
      int64_t now_ms = NowMs();
      *wait_ms = 1000;
      std::lock_guard lock(mutex_);
      size_t share =
          std::clamp<size_t>(kQueuedBytesOfAll / std::max<size_t>(feeds_.size(), 1), kPartitionBytes, kQueuedBytesMax);
      std::erase_if(feeds_, [&](const FeedPtr& feed) {
        std::lock_guard feed_lock(feed->mutex);
        if (feed->closed) return true;
        feed->queued_bytes_max = share;
        if (feed->retry_at_ms > now_ms) *wait_ms = std::min(*wait_ms, feed->retry_at_ms - now_ms);
        else if (feed->queued_bytes >= feed->queued_bytes_max) *left_out = true;
        else if (!feed->error) due.push_back({feed, feed->next, feed->generation});
        return false;
      });
      return due;
    }

    Status Fetch(std::vector<Asked>& due, int32_t wait_ms) {
      if (!connection_) connection_ = TRY(BrokerConnection::Open(address_, cluster_.stop_));
      // Isolation is the request's: first those of one, next time those of the other.
      log::Isolation isolation = due[turn_++ % due.size()].feed->isolation;
      wire::FetchRequest request;
      request.max_wait_ms = wait_ms;
      request.min_bytes = 1;
      request.max_bytes = kAnswerBytes;
      request.isolation_level = isolation == log::Isolation::kReadCommitted ? 1 : 0;
      std::map<TopicPartition, Asked*> asked;
      bool both = false;
      for (size_t i = 0; i < due.size(); i++) {
        // The broker fills its answer in this order: nobody is always the first.
        Asked& each = due[(turn_ + i) % due.size()];
        if (each.feed->isolation != isolation || !asked.emplace(each.feed->from, &each).second) {
          both = true;
          continue;
        }
        auto topic = std::find_if(request.topics.begin(), request.topics.end(),
                                  [&](auto& t) { return t.topic == each.feed->from.topic; });
        if (topic == request.topics.end()) {
          request.topics.emplace_back();
          topic = request.topics.end() - 1;
          topic->topic = each.feed->from.topic;
        }
        auto& partition = topic->partitions.emplace_back();
        partition.partition = each.feed->from.partition;
        partition.fetch_offset = each.offset;
        partition.partition_max_bytes = kPartitionBytes;
      }
      if (both) request.max_wait_ms = kWaitShortMs;
      const int16_t version = connection_->fetch_version();
      auto answer = TRY(connection_->Ask(request, version));
      auto response = wire::FetchResponse::Decode(answer.body, version);
      if (!response.ok()) return Error(ErrorCode::kUnavailable, response.error().message());
      if (response->error_code != 0) {
        for (auto& [from, each] : asked) Later(each->feed, kRetryMs);
        return Ok();
      }
      for (auto& topic : response->topics) {
        for (auto& partition : topic.partitions) {
          auto each = asked.find({topic.topic, partition.partition});
          if (each != asked.end()) Take(*each->second, answer.owner, partition);
        }
      }
      return Ok();
    }

    void Take(const Asked& asked, const std::shared_ptr<const void>& owner,
              wire::FetchResponse::Topic::Partition& partition) {
      Feed& feed = *asked.feed;
      auto error = static_cast<KafkaError>(partition.error_code);
      if (error != KafkaError::kNone && error != KafkaError::kOffsetOutOfRange) return Trouble(asked.feed, error);
      feed.unknown_since_ms = -1;
      std::lock_guard lock(feed.mutex);
      if (feed.closed || feed.generation != asked.generation) return;
      if (error == KafkaError::kOffsetOutOfRange)
        return feed.Fail(
            InvalidArgument(Name(feed.from) + ": offset " + std::to_string(asked.offset) + " is not there (any more)"));
      feed.end =
          feed.isolation == log::Isolation::kReadCommitted ? partition.last_stable_offset : partition.high_watermark;
      feed.answered.notify_all();
      BytesView batches = wire::CompleteBatches(partition.records.view);
      if (batches.empty()) {
        if (partition.records.view.empty()) return;
        return feed.Fail(Corrupt(Name(feed.from) + ": an answer that holds no whole batch at offset " +
                                 std::to_string(asked.offset)));
      }
      auto next = NextOffset(batches);
      if (!next.ok()) return feed.Fail(std::move(next).error().Context(Name(feed.from)));
      if (*next <= asked.offset)
        return feed.Fail(
            Corrupt(Name(feed.from) + ": the answer to offset " + std::to_string(asked.offset) + " ends before it"));
      feed.next = *next;
      feed.queued_bytes += batches.size();
      Fetched fetched{owner, batches, {}};
      if (partition.aborted_transactions) fetched.aborted = std::move(*partition.aborted_transactions);
      feed.queue.push_back(std::move(fetched));
      if (feed.waker) feed.waker->Wake();
    }

    void Trouble(const FeedPtr& feed, KafkaError error) {
      int16_t code = wire::Code(error);
      switch (error) {
        case KafkaError::kTopicAuthorizationFailed:
        case KafkaError::kClusterAuthorizationFailed: {
          std::lock_guard lock(feed->mutex);
          return feed->Fail(
              {ErrorCode::kPermissionDenied, Name(feed->from) + ": " + std::string(wire::KafkaErrorName(code))});
        }
        default:
          // The leader moved, or a broker starts, or the topic is new or gone: ask who leads now.
          Later(feed, kRetryMs);
          Relocate(feed);
      }
    }

    static std::string Name(const TopicPartition& from) {
      return "topic " + from.topic + "-" + std::to_string(from.partition);
    }

    static void Later(const FeedPtr& feed, int64_t ms) {
      std::lock_guard lock(feed->mutex);
      feed->retry_at_ms = NowMs() + ms;
    }

    /// To the thread of its leader now, which may be this one. Where nobody knows, it stays here and is asked again.
    /// False: no broker answers.
    bool Relocate(const FeedPtr& feed) {
      auto leader = cluster_.FindLeader(feed->from);
      if (leader.ok()) {
        feed->unknown_since_ms = -1;
        if (*leader == address_) return true;
        {
          std::lock_guard lock(mutex_);
          std::erase(feeds_, feed);
        }
        cluster_.Give(feed, *leader);
        return true;
      }
      if (leader.error().code() != ErrorCode::kNotFound) return false;
      int64_t now_ms = NowMs();
      if (feed->unknown_since_ms < 0) feed->unknown_since_ms = now_ms;
      if (now_ms - feed->unknown_since_ms < kUnknownMsMax) return true;
      std::lock_guard lock(feed->mutex);
      feed->Fail(leader.error());
      return true;
    }

    Cluster& cluster_;
    const BrokerAddress address_;
    std::mutex mutex_;  // guards feeds_ and changed_; the rest is the thread's own
    std::condition_variable cv_;
    std::vector<FeedPtr> feeds_;
    bool changed_ = false;
    std::unique_ptr<BrokerConnection> connection_;
    size_t turn_ = 0;
    std::thread thread_;
  };

  void Give(const FeedPtr& feed, const BrokerAddress& leader) {
    std::lock_guard lock(mutex_);
    if (stop_) return;
    auto& broker = brokers_[leader];
    if (!broker) broker = std::make_unique<Broker>(*this, leader);
    broker->Add(feed);
  }

  Result<BrokerAddress> FindLeader(const TopicPartition& from) {
    std::vector<BrokerAddress> candidates;
    {
      std::lock_guard lock(mutex_);
      candidates = known_;
    }
    candidates.insert(candidates.end(), bootstrap_.begin(), bootstrap_.end());
    Error last = InvalidArgument("'properties.bootstrap.servers' names no broker");
    for (const BrokerAddress& candidate : candidates) {
      if (stop_) break;
      auto leader = AskForLeader(candidate, from);
      if (leader.ok() || leader.error().code() == ErrorCode::kNotFound) return leader;
      last = std::move(leader).error();
    }
    return last;
  }

  Result<BrokerAddress> AskForLeader(const BrokerAddress& broker, const TopicPartition& from) {
    auto connection = TRY(BrokerConnection::Open(broker, stop_));
    wire::MetadataRequest request;
    request.topics.emplace();
    request.topics->emplace_back().name = from.topic;
    request.allow_auto_topic_creation = false;
    auto answer = TRY(connection->Ask(request, kMetadataVersion));
    auto response = TRY(wire::MetadataResponse::Decode(answer.body, kMetadataVersion));
    std::string what = from.topic + "-" + std::to_string(from.partition);
    {
      std::lock_guard lock(mutex_);
      known_.clear();
      for (const auto& each : response.brokers) known_.push_back({each.host, each.port});
    }
    for (const auto& topic : response.topics) {
      if (topic.error_code == wire::Code(KafkaError::kUnknownTopicOrPartition)) break;
      if (topic.error_code != 0)
        return Error(ErrorCode::kUnavailable,
                     "topic " + what + ": " + std::string(wire::KafkaErrorName(topic.error_code)));
      for (const auto& partition : topic.partitions) {
        if (partition.partition_index != from.partition) continue;
        for (const auto& each : response.brokers)
          if (each.node_id == partition.leader_id) return BrokerAddress{each.host, each.port};
        return Error(ErrorCode::kUnavailable, "topic " + what + " has no leader now");
      }
    }
    return NotFound("there is no topic " + what);
  }

  const std::vector<BrokerAddress> bootstrap_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // guards what follows
  std::vector<BrokerAddress> known_;
  std::map<BrokerAddress, std::unique_ptr<Broker>> brokers_;

  friend class Broker;
};

namespace {

class FetchReader final : public log::Reader {
 public:
  FetchReader(std::shared_ptr<Fetcher::Cluster> cluster, FeedPtr feed)
      : cluster_(std::move(cluster)), feed_(std::move(feed)), position_(feed_->next) {}
  ~FetchReader() override {
    std::lock_guard lock(feed_->mutex);
    feed_->closed = true;
    feed_->waker = nullptr;
    feed_->queue.clear();
  }

  Status Poll(uint32_t max_bytes, RecordSet* out) override {
    out->from = feed_->from;
    for (uint64_t bytes = 0; bytes < max_bytes;) {
      Fetched fetched;
      bool room = false;
      {
        std::lock_guard lock(feed_->mutex);
        out->next_offset = position_;
        if (feed_->queue.empty()) {
          if (!feed_->error || !out->records.empty()) return Ok();
          return *feed_->error;
        }
        fetched = std::move(feed_->queue.front());
        feed_->queue.pop_front();
        room = feed_->queued_bytes >= feed_->queued_bytes_max;
        feed_->queued_bytes -= fetched.batches.size();
        room = room && feed_->queued_bytes < feed_->queued_bytes_max;
      }
      if (room) cluster_->Wake();
      bytes += fetched.batches.size();
      size_t before = out->records.size();
      TRY(Decode(fetched, out));
      if (out->records.size() > before) out->owners.push_back(std::move(fetched.owner));
    }
    out->next_offset = position_;
    return Ok();
  }

  void Seek(int64_t offset) override {
    {
      std::lock_guard lock(feed_->mutex);
      position_ = feed_->next = offset;
      feed_->generation++;
      feed_->queue.clear();
      feed_->queued_bytes = 0;
      feed_->error.reset();
    }
    cluster_->Wake();
  }

  int64_t position() const override { return position_; }

  Result<int64_t> EndOffset() override {
    std::unique_lock lock(feed_->mutex);
    // The first answer is on its way; where it does not come, nobody waits for it again.
    feed_->answered.wait_for(lock, std::chrono::milliseconds(waited_ ? 0 : kClusterTimeoutMs),
                             [this] { return feed_->end >= 0 || feed_->error; });
    waited_ = true;
    if (feed_->end >= 0) return std::max(feed_->end, position_);
    if (feed_->error) return *feed_->error;
    return Error(ErrorCode::kUnavailable, "the end of topic " + feed_->from.topic + " is not known yet");
  }

 private:
  Status Decode(const Fetched& fetched, RecordSet* out) {
    std::vector<AbortedTransaction> coming = fetched.aborted;  // not yet begun at the batch at hand
    std::set<int64_t> aborted;                                 // producers of those begun
    for (BytesView rest = fetched.batches; !rest.empty();) {
      auto batch = TRY(wire::BatchView::Parse(rest));
      rest.remove_prefix(batch.size());
      std::erase_if(coming, [&](const AbortedTransaction& transaction) {
        if (transaction.first_offset > batch.last_offset()) return false;
        aborted.insert(transaction.producer_id);
        return true;
      });
      if (batch.control()) {
        auto control = wire::DecodeControl(batch);
        if (control.ok() && control->type == wire::ControlRecord::kAbort) aborted.erase(batch.producer_id());
      } else if (!(batch.transactional() && aborted.contains(batch.producer_id()))) {
        Status decoded = wire::DecodeRecords(batch, {.from_offset = position_, .check_crc = true}, out);
        if (!decoded.ok())
          return std::move(decoded).error().Context(feed_->from.topic + "-" + std::to_string(feed_->from.partition) +
                                                    ", batch at offset " + std::to_string(batch.base_offset()));
      }
      position_ = std::max(position_, batch.next_offset());
    }
    return Ok();
  }

  const std::shared_ptr<Fetcher::Cluster> cluster_;
  const FeedPtr feed_;
  int64_t position_;
  bool waited_ = false;
};

}  // namespace

Fetcher::Fetcher(const std::string& bootstrap_servers) : cluster_(std::make_shared<Cluster>(bootstrap_servers)) {}
Fetcher::~Fetcher() = default;

Result<std::unique_ptr<log::Reader>> Fetcher::OpenReader(const TopicPartition& partition, int64_t offset,
                                                         log::Isolation isolation, Waker* waker) {
  auto feed = std::make_shared<Feed>();
  feed->from = partition;
  feed->isolation = isolation;
  feed->waker = waker;
  feed->next = offset;
  TRY(cluster_->Assign(feed));
  return std::unique_ptr<log::Reader>(std::make_unique<FetchReader>(cluster_, std::move(feed)));
}

}  // namespace tailrace::connectors
