#include "connectors/generator/generator_manager.h"

#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "base/logging.h"
#include "base/random.h"
#include "connectors/generator/events.h"
#include "log/client.h"

namespace tailrace::connectors {

namespace {

// How often records are sent: short enough for latency, long enough for batches at 200,000 events a second.
constexpr int64_t kTickNs = 5'000'000;
// After a stall (a slow disk, a suspended machine) what is more overdue than this is not made up for.
constexpr double kCatchUpSecondsMax = 1.0;
constexpr size_t kSendAtOnceMax = 8192;
constexpr int kRetriesMax = 20;

struct Generator {
  GeneratorSpec spec;
  std::vector<Event> events;
  std::unique_ptr<log::Writer> writer;
  Random random{1};
  GeneratorInfo info;  // guarded by the manager's mutex
  bool stop = false;   // likewise

  // Of the sending thread alone.
  size_t next = 0;
  uint64_t sent = 0;
  double due = 0;  // events owed and not sent
  int64_t last_tick_ns = 0;
  int64_t shift_ms = 0;  // kShifted: added to the file's times
  int64_t span_ms = 0;   // from the first event of the file to where the next loop starts
  int64_t rate_from_ns = 0;
  uint64_t rate_from_sent = 0;
  int failures = 0;
};

class GeneratorManagerImpl final : public GeneratorManager {
 public:
  GeneratorManagerImpl(log::Client& client, Clock& clock)
      : client_(client), clock_(clock), thread_([this] { Run(); }) {}

  ~GeneratorManagerImpl() override {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  Result<std::string> Start(const std::string& file, const std::string& yaml, const std::string& base_dir,
                            const std::map<std::string, std::string>& overrides) override {
    auto generator = std::make_shared<Generator>();
    generator->spec = TRY(ParseGenerator(file, yaml, overrides));
    const GeneratorSpec& spec = generator->spec;
    {
      std::lock_guard lock(mutex_);
      if (Running(spec.name)) return Error(ErrorCode::kAlreadyExists, "the generator " + spec.name + " runs already");
    }
    generator->events = TRY(LoadEvents(spec, base_dir));
    auto described = client_.DescribeTopic(spec.topic);
    if (!described.ok()) {
      if (described.error().code() != ErrorCode::kNotFound) return std::move(described).error();
      Status created = client_.CreateTopic({.name = spec.topic});
      if (!created.ok() && created.error().code() != ErrorCode::kAlreadyExists) return std::move(created).error();
    }
    generator->writer = TRY(client_.OpenWriter());
    generator->random = Random(spec.seed);
    if (spec.time_mode == EventTimeMode::kShifted) {
      int64_t first = INT64_MAX, last = INT64_MIN;
      for (const Event& e : generator->events) {
        first = std::min(first, e.time_ms);
        last = std::max(last, e.time_ms);
      }
      generator->shift_ms = clock_.NowMs() - first;
      int64_t gap = (last - first) / static_cast<int64_t>(generator->events.size());
      generator->span_ms = last - first + std::max<int64_t>(gap, 1);
    }
    generator->last_tick_ns = generator->rate_from_ns = clock_.MonotonicNs();
    generator->due = 1;  // the first at once
    generator->info = {
        .name = spec.name, .topic = spec.topic, .file = file, .rate = spec.rate, .started_ms = clock_.NowMs()};
    std::lock_guard lock(mutex_);
    if (Running(spec.name)) return Error(ErrorCode::kAlreadyExists, "the generator " + spec.name + " runs already");
    generators_[spec.name] = generator;
    wake_.notify_all();
    return spec.name;
  }

  Result<std::string> StartFile(const std::string& path, const std::string& base_dir,
                                const std::map<std::string, std::string>& overrides) override {
    std::ifstream in(path, std::ios::binary);
    if (!in) return NotFound("there is no file " + path);
    std::stringstream text;
    text << in.rdbuf();
    return Start(path, text.str(), base_dir, overrides);
  }

  Status Stop(const std::string& name) override {
    std::unique_lock lock(mutex_);
    auto it = generators_.find(name);
    if (it == generators_.end()) return NotFound("there is no generator " + name);
    auto generator = it->second;
    generator->stop = true;
    wake_.notify_all();
    changed_.wait(lock, [&] { return generator->info.state != GeneratorState::kRunning; });
    return Ok();
  }

  std::vector<GeneratorInfo> List() override {
    std::lock_guard lock(mutex_);
    std::vector<GeneratorInfo> all;
    for (const auto& [name, generator] : generators_) all.push_back(generator->info);
    return all;
  }

  Result<GeneratorInfo> Describe(const std::string& name) override {
    std::lock_guard lock(mutex_);
    auto it = generators_.find(name);
    if (it == generators_.end()) return NotFound("there is no generator " + name);
    return it->second->info;
  }

 private:
  bool Running(const std::string& name) const {
    auto it = generators_.find(name);
    return it != generators_.end() && it->second->info.state == GeneratorState::kRunning;
  }

  void Run() {
    std::unique_lock lock(mutex_);
    int64_t next_tick_ns = clock_.MonotonicNs();
    while (true) {
      std::vector<std::shared_ptr<Generator>> running;
      for (auto& [name, g] : generators_)
        if (g->info.state == GeneratorState::kRunning) running.push_back(g);
      if (ending_) {
        for (auto& g : running) End(*g, GeneratorState::kStopped, "");
        return;
      }
      if (running.empty()) {
        wake_.wait(lock);
        next_tick_ns = clock_.MonotonicNs();
        continue;
      }
      for (auto& g : running)
        if (g->stop) End(*g, GeneratorState::kStopped, "");
      lock.unlock();
      std::vector<std::pair<Generator*, Status>> outcomes;
      for (auto& g : running)
        if (g->info.state == GeneratorState::kRunning) outcomes.emplace_back(g.get(), Send(*g));
      lock.lock();
      for (auto& [g, status] : outcomes) Note(*g, status);
      next_tick_ns = std::max(next_tick_ns + kTickNs, clock_.MonotonicNs());
      int64_t wait_ns = next_tick_ns - clock_.MonotonicNs();
      if (wait_ns > 0 && !ending_) wake_.wait_for(lock, std::chrono::nanoseconds(wait_ns));
    }
  }

  /// What became of a Send. REQUIRES: mutex_ held.
  void Note(Generator& g, const Status& status) {
    if (!status.ok()) {
      // A broker that restarts is waited for; the records not acknowledged are sent again, as any producer does.
      if (!status.error().retriable() || ++g.failures > kRetriesMax) {
        LogError("generator", g.spec.name + ": " + status.error().ToString());
        End(g, GeneratorState::kFailed, status.error().ToString());
      }
      return;
    }
    g.failures = 0;
    g.info.sent = g.sent;
    int64_t now_ns = clock_.MonotonicNs();
    if (now_ns - g.rate_from_ns >= 1'000'000'000) {
      g.info.rate_now =
          static_cast<double>(g.sent - g.rate_from_sent) * 1e9 / static_cast<double>(now_ns - g.rate_from_ns);
      g.rate_from_ns = now_ns;
      g.rate_from_sent = g.sent;
    }
    if (Done(g)) End(g, GeneratorState::kFinished, "");
  }

  /// REQUIRES: mutex_ held.
  void End(Generator& g, GeneratorState state, const std::string& error) {
    g.info.state = state;
    g.info.error = error;
    g.info.rate_now = 0;
    g.info.ended_ms = clock_.NowMs();
    g.writer.reset();
    g.events.clear();
    g.events.shrink_to_fit();
    changed_.notify_all();
  }

  static bool Done(const Generator& g) {
    return (g.spec.limit && g.sent >= g.spec.limit) || (!g.spec.loop && g.next >= g.events.size());
  }

  Status Send(Generator& g) {
    int64_t now_ns = clock_.MonotonicNs();
    g.due += static_cast<double>(now_ns - g.last_tick_ns) * 1e-9 * g.spec.rate;
    g.due = std::min(g.due, std::max(1.0, g.spec.rate * kCatchUpSecondsMax));
    g.last_tick_ns = now_ns;
    bool any = false;
    while (g.due >= 1 && !Done(g)) {
      size_t count = std::min<size_t>(static_cast<size_t>(g.due), kSendAtOnceMax);
      if (g.spec.limit) count = std::min<size_t>(count, g.spec.limit - g.sent);
      TRY(SendSome(g, &count));
      g.due -= static_cast<double>(count);
      any = true;
    }
    return any ? g.writer->Flush() : Ok();
  }

  Status SendSome(Generator& g, size_t* count) {
    int64_t now_ms = clock_.NowMs();
    text_.clear();
    pieces_.clear();
    uint64_t broken = 0, loops = 0;
    size_t n = 0;
    for (; n < *count; n++) {
      if (g.next >= g.events.size()) {
        if (!g.spec.loop) break;
        g.next = 0;
        g.shift_ms += g.span_ms;
        loops++;
      }
      const Event& event = g.events[g.next++];
      int64_t time_ms = g.spec.time_mode == EventTimeMode::kShifted ? event.time_ms + g.shift_ms : now_ms;
      size_t start = text_.size();
      WriteEvent(event, g.spec, time_ms, &text_);
      if (g.spec.break_fraction > 0 && g.random.Unit() < g.spec.break_fraction) {
        BreakKind kind = g.spec.break_kinds[g.random.Below(g.spec.break_kinds.size())];
        std::string bad = BreakEvent(text_.substr(start), kind, g.random);
        text_.replace(start, std::string::npos, bad);
        broken++;
      }
      pieces_.push_back({start, text_.size() - start, &event.key});
    }
    records_.clear();
    for (const Piece& piece : pieces_) {
      log::RecordToWrite record;
      record.value = BytesView(text_).substr(piece.start, piece.length);
      if (!piece.key->empty()) record.key = *piece.key;
      record.timestamp_ms = now_ms;
      records_.push_back(record);
    }
    TRY(g.writer->Append(g.spec.topic, -1, records_));
    g.sent += n;
    *count = n;
    std::lock_guard lock(mutex_);
    g.info.broken += broken;
    g.info.loops += loops;
    return Ok();
  }

  struct Piece {
    size_t start, length;
    const std::string* key;
  };

  log::Client& client_;
  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_, changed_;
  bool ending_ = false;
  std::map<std::string, std::shared_ptr<Generator>> generators_;
  // Of the sending thread, reused.
  std::string text_;
  std::vector<Piece> pieces_;
  std::vector<log::RecordToWrite> records_;
  std::thread thread_;  // last: it uses what stands above
};

}  // namespace

const char* GeneratorStateName(GeneratorState state) {
  switch (state) {
    case GeneratorState::kRunning: return "running";
    case GeneratorState::kFinished: return "finished";
    case GeneratorState::kStopped: return "stopped";
    case GeneratorState::kFailed: return "failed";
  }
  return "?";
}

std::unique_ptr<GeneratorManager> GeneratorManager::Create(log::Client& client, Clock& clock) {
  return std::make_unique<GeneratorManagerImpl>(client, clock);
}

}  // namespace tailrace::connectors
