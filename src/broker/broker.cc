// Puts the parts together: opens them in the order of their dependence, serves, keeps house, closes in reverse.

#include "broker/broker.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "base/clock.h"
#include "base/logging.h"
#include "base/patient_clock.h"
#include "broker/apis/registry.h"
#include "broker/embedded_client.h"
#include "broker/fetch_sessions.h"
#include "broker/groups/coordinator.h"
#include "broker/metrics.h"
#include "broker/offsets.h"
#include "broker/parts.h"
#include "broker/producer_ids.h"
#include "broker/session.h"
#include "broker/topics.h"
#include "broker/transaction_coordinator.h"
#include "io/byte_budget.h"
#include "io/event_loop.h"
#include "io/file.h"
#include "io/tcp_server.h"
#include "log/flusher.h"
#include "log/journal.h"
#include "log/partition.h"

namespace tailrace::broker {
namespace {

class BrokerImpl final : public Broker {
 public:
  BrokerImpl(BrokerOptions options, Clock& clock)
      : options_(std::move(options)), clock_(clock), patient_clock_(clock), budget_(options_.max_queued_bytes) {}
  ~BrokerImpl() override { (void)Close(); }

  Status Start() {
    io::RaiseOpenFileLimit();  // each segment and each connection holds one
    TRY(io::MakeDirectories(options_.data_dir));
    lock_ = std::make_unique<io::DirectoryLock>(TRY(io::DirectoryLock::Acquire(options_.data_dir)));
    flusher_ = std::make_unique<log::Flusher>(clock_);
    log::Journal::Options journal_options;
    journal_options.flush_before_ack = options_.flush_before_ack;
    journal_ = TRY(log::Journal::Open(options_.data_dir + "/meta.journal", *flusher_, journal_options));
    topics_ = TRY(TopicManager::Open(options_, clock_, *flusher_, journal_));
    offsets_ = TRY(OffsetStore::Open(journal_, clock_));
    producer_ids_ = TRY(ProducerIds::Open(journal_));
    transactions_ = TRY(TransactionCoordinator::Open(journal_, *topics_, *offsets_, *producer_ids_, clock_));
    groups_ = std::make_unique<GroupCoordinator>(options_, clock_, journal_, *offsets_);
    TRY(groups_->Load());
    fetch_sessions_ = std::make_unique<FetchSessions>(clock_);
    topics_->SetListener([this](const std::string& topic) {
      if (!topics_->Find(topic)) offsets_->DeleteTopic(topic);
    });
    // Keeps house: its work may wait for the disk, so it is not one of the loops that serve.
    house_ = TRY(io::EventLoop::Start("broker-house"));
    client_ = MakeEmbeddedClient(*topics_, *offsets_, *transactions_, clock_);
    parts_.reset(new Parts{options_, clock_, metrics_, *topics_, *offsets_, *groups_, *fetch_sessions_, *producer_ids_,
                           *transactions_, *house_});
    groups_->SetAlarm([this](int64_t deadline_ms) { house_->Post([this, deadline_ms] { ArmGroups(deadline_ms); }); });
    house_->Post([this] {
      ArmGroups(groups_->Tick());
      KeepTransactions();
      KeepRetention();
      KeepOffsets();
    });
    return Ok();
  }

  Result<uint16_t> Listen(const std::string& host, uint16_t port) override {
    if (server_) return Error(ErrorCode::kConflict, "the broker is listening already");
    std::vector<io::EventLoop*> loops;
    for (int i = 0; i < std::max(options_.io_threads, 1); ++i) {
      loops_.push_back(TRY(io::EventLoop::Start(fmt::format("broker-io-{}", i))));
      loops.push_back(loops_.back().get());
    }
    io::TcpServerOptions options;
    options.frame_bytes_max = static_cast<uint32_t>(options_.max_request_bytes);
    options.connections_max = options_.max_connections;
    options.log_name = "broker";
    options.budget = &budget_;
    auto server = io::TcpServer::Listen(host, port, loops, options,
                                        [this](io::Connection* connection) -> std::shared_ptr<io::FrameHandler> {
                                          return std::make_shared<Session>(*parts_, connection);
                                        });
    if (!server.ok()) {
      loops_.clear();
      return std::move(server).error();
    }
    server_ = std::move(server).value();
    parts_->port = server_->port();
    return server_->port();
  }

  log::Client& client() override { return *client_; }
  const std::string& cluster_id() const override { return topics_->cluster_id(); }

  BrokerStats Stats() override {
    BrokerStats stats;
    stats.messages_in = topics_->traffic().messages;
    stats.bytes_in = topics_->traffic().bytes;
    stats.bytes_out = metrics_.bytes_out;
    if (server_) stats.connections = server_->stats().connections;
    log::FlusherStats flusher = flusher_->stats();
    stats.fsyncs = flusher.fsyncs;
    stats.fsync_us_sum = flusher.fsync_us_sum;
    std::map<TopicPartition, int64_t> ends;
    for (const TopicPtr& topic : topics_->List()) {
      for (size_t i = 0; i < topic->partitions.size(); ++i) {
        log::PartitionEnds e = topic->partitions[i]->Ends();
        auto index = static_cast<int32_t>(i);
        stats.partitions.push_back({topic->name, index, e.log_start_offset, e.high_watermark, e.log_end_offset,
                                    topic->partitions[i]->SizeBytes()});
        ends[{topic->name, index}] = e.high_watermark;
      }
    }
    for (const GroupListing& listing : groups_->List()) {
      GroupDescription d = groups_->Describe(listing.id);
      if (d.error != wire::KafkaError::kNone) continue;
      GroupStats& group = stats.groups.emplace_back();
      group.group = listing.id;
      group.state = d.state;
      group.members = static_cast<int32_t>(d.members.size());
      for (const OffsetCommitItem& item : offsets_->FetchAll(listing.id)) {
        auto end = ends.find(item.from);
        int64_t lag = end == ends.end() ? 0 : std::max<int64_t>(end->second - item.value.offset, 0);
        group.partitions.push_back({item.from.topic, item.from.partition, item.value.offset, lag});
      }
    }
    for (size_t i = 0; i < std::size(wire::kApis); ++i) {
      const ApiCounters& c = metrics_.apis[i];
      if (c.requests == 0) continue;
      ApiStats& api = stats.apis.emplace_back();
      api.api = wire::kApis[i].name;
      api.requests = c.requests;
      api.errors = c.errors;
      api.time_us_sum = c.time_us_sum;
      for (const auto& bucket : c.time_us_buckets) api.time_us_buckets.push_back(bucket);
    }
    return stats;
  }

  Status Close() override {
    if (closed_) return Ok();
    closed_ = true;
    if (server_) {
      // No new requests; what was appended is acknowledged if the disk is quick, so that producers needn't ask again.
      server_->StopAccepting();
      server_->StopReading();
      for (int64_t until_ms = Clock::System().MonotonicMs() + 500;
           parts_->produces_pending > 0 && Clock::System().MonotonicMs() < until_ms;) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      for (auto& loop : loops_) loop->PostAndWait([] {});
    }
    if (house_) house_->Stop();
    server_.reset();
    for (auto& loop : loops_) loop->Stop();
    Status first;
    if (topics_) first = topics_->Close();
    if (journal_) {
      Status status = journal_->Close();
      if (first.ok()) first = std::move(status);
    }
    client_.reset();
    transactions_.reset();
    groups_.reset();
    flusher_.reset();  // runs what is queued: its callbacks use what is left
    return first;
  }

 private:
  void ArmGroups(int64_t deadline_ms) {
    if (deadline_ms == INT64_MAX || (group_timer_.second != 0 && group_timer_at_ms_ <= deadline_ms)) return;
    house_->Cancel(&group_timer_);
    group_timer_at_ms_ = deadline_ms;
    group_timer_ = house_->After(deadline_ms - clock_.MonotonicMs(), [this] {
      group_timer_ = {0, 0};
      ArmGroups(groups_->Tick());
    });
  }
  void KeepTransactions() {
    transactions_->Tick(patient_clock_.NowMs());
    house_->After(1000, [this] { KeepTransactions(); });
  }
  void KeepRetention() {
    // Not at the very start, which has better things to do.
    house_->After(options_.retention_check_interval_ms, [this] {
      if (int64_t n = topics_->ApplyRetention(patient_clock_.NowMs()); n > 0)
        LogInfo("broker", fmt::format("retention removed {} segment(s)", n));
      KeepRetention();
    });
  }
  void KeepOffsets() {
    constexpr int64_t kIntervalMs = 600'000;  // offsets.retention.check.interval.ms
    house_->After(kIntervalMs, [this] {
      int64_t n = offsets_->Expire(
          patient_clock_.NowMs(), options_.offsets_retention_ms,
          [this](const std::string& group, const std::string& topic) { return groups_->IdleSinceMs(group, topic); });
      if (n > 0) LogInfo("broker", fmt::format("{} committed offset(s) of idle groups expired", n));
      groups_->RemoveEmptyGroups();
      KeepOffsets();
    });
  }

  const BrokerOptions options_;
  Clock& clock_;
  PatientClock patient_clock_;
  Metrics metrics_;
  io::ByteBudget budget_;
  std::unique_ptr<io::DirectoryLock> lock_;
  std::unique_ptr<log::Flusher> flusher_;
  std::shared_ptr<log::Journal> journal_;
  std::unique_ptr<TopicManager> topics_;
  std::unique_ptr<OffsetStore> offsets_;
  std::unique_ptr<ProducerIds> producer_ids_;
  std::unique_ptr<TransactionCoordinator> transactions_;
  std::unique_ptr<GroupCoordinator> groups_;
  std::unique_ptr<FetchSessions> fetch_sessions_;
  std::unique_ptr<log::Client> client_;
  std::unique_ptr<Parts> parts_;
  std::vector<std::unique_ptr<io::EventLoop>> loops_;
  std::unique_ptr<io::TcpServer> server_;
  std::unique_ptr<io::EventLoop> house_;
  io::EventLoop::TimerId group_timer_{0, 0};
  int64_t group_timer_at_ms_ = 0;
  bool closed_ = false;
};

}  // namespace

Result<std::unique_ptr<Broker>> Broker::Open(BrokerOptions options, Clock& clock) {
  auto broker = std::make_unique<BrokerImpl>(std::move(options), clock);
  TRY(broker->Start());
  return std::unique_ptr<Broker>(std::move(broker));
}

}  // namespace tailrace::broker
