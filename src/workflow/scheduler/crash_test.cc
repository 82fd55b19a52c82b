// A seeded simulation: the scheduler is killed before or after any of its metadata transactions, processes live on or
// die, a new scheduler takes over. Every task ends once, no process of a try runs twice, and the run ends as without a
// crash.

#include <gtest/gtest.h>

#include "base/random.h"
#include "workflow/scheduler/fake_world.h"

namespace tailrace::workflow {
namespace {

/// Delegates; at the chosen transaction it "loses power": before it (nothing written) or after (written, but the engine
/// never learns).
class CrashingStore final : public MetadataStore {
 public:
  explicit CrashingStore(MetadataStore& inner) : inner_(inner) {}
  int applies = 0, crash_at = -1;
  bool after = false, crashed = false;

  Status Apply(Batch& batch) override {
    if (crashed) return Error(ErrorCode::kIo, "dead");
    if (applies++ != crash_at) return inner_.Apply(batch);
    if (after) (void)inner_.Apply(batch);
    crashed = true;
    return Error(ErrorCode::kIo, "dead");
  }
  Status AcquireLease(const LeaseRow& l) override { return inner_.AcquireLease(l); }
  Status ReleaseLease(const std::string& s) override { return inner_.ReleaseLease(s); }
  Result<std::vector<RunRow>> ActiveRuns() override { return inner_.ActiveRuns(); }
  Result<std::vector<RunRow>> Runs(const std::string& d, int n) override { return inner_.Runs(d, n); }
  Result<RunRow> Run(const std::string& d, const std::string& r) override { return inner_.Run(d, r); }
  Result<std::optional<RunRow>> PreviousRun(const std::string& d, int64_t t) override {
    return inner_.PreviousRun(d, t);
  }
  Result<std::optional<RunRow>> PreviousSuccess(const std::string& d, int64_t t) override {
    return inner_.PreviousSuccess(d, t);
  }
  Result<std::optional<RunRow>> LastScheduledRun(const std::string& d) override { return inner_.LastScheduledRun(d); }
  Result<std::vector<TaskRow>> Tasks(const std::string& d, const std::string& r) override { return inner_.Tasks(d, r); }
  Result<std::vector<TaskRow>> Tries(const std::string& d, const std::string& r, const std::string& t) override {
    return inner_.Tries(d, r, t);
  }
  Result<std::vector<TransitionRow>> Transitions(const std::string& d, const std::string& r) override {
    return inner_.Transitions(d, r);
  }
  Result<std::string> XCom(const std::string& d, const std::string& r, const std::string& t,
                           const std::string& k) override {
    return inner_.XCom(d, r, t, k);
  }
  Result<std::map<std::string, std::string>> XComs(const std::string& d, const std::string& r,
                                                   const std::string& k) override {
    return inner_.XComs(d, r, k);
  }
  Result<std::string> Variable(const std::string& k) override { return inner_.Variable(k); }
  Status SetVariable(const std::string& k, const std::string& v) override { return inner_.SetVariable(k, v); }
  Result<std::map<std::string, std::string>> Variables() override { return inner_.Variables(); }
  Result<ConnectionRow> Connection(const std::string& c) override { return inner_.Connection(c); }
  Status SetConnection(const ConnectionRow& c) override { return inner_.SetConnection(c); }
  Result<std::map<std::string, int>> Pools() override { return inner_.Pools(); }
  Status SetPool(const std::string& n, int s) override { return inner_.SetPool(n, s); }
  Result<std::vector<DagRow>> Dags() override { return inner_.Dags(); }
  Status PutDags(const std::vector<DagRow>& d) override { return inner_.PutDags(d); }
  Status SetPaused(const std::string& d, bool p) override { return inner_.SetPaused(d, p); }
  Result<std::vector<RunKey>> ExpiredRuns(int64_t before_ms, int kept, int limit) override {
    return inner_.ExpiredRuns(before_ms, kept, limit);
  }
  Status DeleteRuns(const std::vector<RunKey>& runs) override { return inner_.DeleteRuns(runs); }
  Result<int> DeleteAlerts(int64_t before_ms, int limit) override { return inner_.DeleteAlerts(before_ms, limit); }
  Result<std::vector<CallbackRow>> OwedCallbacks() override { return inner_.OwedCallbacks(); }
  Result<std::vector<SlaMissRow>> SlaMisses(const std::string& d, int n) override { return inner_.SlaMisses(d, n); }
  Status AddAlert(const AlertRow& a) override { return inner_.AddAlert(a); }
  Result<std::vector<AlertRow>> Alerts(int n) override { return inner_.Alerts(n); }

 private:
  MetadataStore& inner_;
};

/// Processes, and what they wrote to their exit files. It outlives schedulers.
struct World {
  struct Process {
    std::string key;  // task#try
    bool began = false, ended = false, killed = false;
    bool success = false;
  };
  std::map<int64_t, Process> processes;
  std::map<std::string, int> begun;     // task#try -> how often a process of it began
  std::map<std::string, int> ran_here;  // the same for tasks without a process
  int64_t last_pid = 100;
};

/// An executor over the World: even tasks are processes, odd ones run in the scheduler.
class WorldExecutor final : public Executor {
 public:
  WorldExecutor(World& world, std::function<bool(const std::string& key)> succeeds)
      : world_(world), succeeds_(std::move(succeeds)) {}
  std::deque<TaskEvent> events;
  std::map<int64_t, int64_t> pid_of;  // ticket -> pid; 0 in the scheduler
  std::map<int64_t, std::string> key_of;

  void Start(TaskRequest r) override {
    std::string key = r.instance.task_id + "#" + std::to_string(r.instance.try_number);
    bool process = (r.instance.task_id.back() - '0') % 2 == 0;
    int64_t pid = process ? ++world_.last_pid : 0;
    if (process) world_.processes[pid] = {key};
    pid_of[r.ticket] = pid;
    key_of[r.ticket] = key;
    TaskEvent e;
    e.kind = TaskEvent::Kind::kReady;
    e.ticket = r.ticket;
    e.pid = e.pid_start = pid;
    events.push_back(e);
  }
  void Go(int64_t ticket) override {
    if (int64_t pid = pid_of[ticket]) {
      world_.processes[pid].began = true;
      ++world_.begun[key_of[ticket]];
      running_.push_back(ticket);
    } else {
      ++world_.ran_here[key_of[ticket]];
      running_.push_back(ticket);
    }
  }
  void Kill(int64_t, const std::string&) override {}
  void Adopt(TaskRequest r) override {
    World::Process& p = world_.processes[r.instance.pid];
    if (p.began && !p.ended && !p.killed) {
      pid_of[r.ticket] = r.instance.pid;
      key_of[r.ticket] = p.key;
      running_.push_back(r.ticket);
      return;
    }
    Outcome o;
    if (!p.began) o = {Outcome::Kind::kNeverStarted, ""};
    else if (p.ended) o = p.success ? Outcome::Success() : Outcome::Fail("x");
    else o = {Outcome::Kind::kLost, ""};
    TaskEvent e;
    e.ticket = r.ticket;
    e.outcome = o;
    events.push_back(std::move(e));
  }
  void Shutdown(int64_t) override {}
  /// One of the running tasks ends.
  bool EndOne(Random& random) {
    if (running_.empty()) return false;
    size_t i = random.Below(running_.size());
    int64_t ticket = running_[i];
    running_.erase(running_.begin() + static_cast<long>(i));
    bool success = succeeds_(key_of[ticket]);
    if (int64_t pid = pid_of[ticket]) {
      world_.processes[pid].ended = true;
      world_.processes[pid].success = success;
    }
    TaskEvent e;
    e.ticket = ticket;
    e.outcome = success ? Outcome::Success() : Outcome::Fail("x");
    events.push_back(std::move(e));
    return true;
  }

 private:
  World& world_;
  std::function<bool(const std::string&)> succeeds_;
  std::vector<int64_t> running_;
};

struct Simulation {
  explicit Simulation(uint64_t seed) : seed(seed) {
    Random random(seed);
    std::string yaml =
        "dag_id: d\ndefault_args: {retries: 3, retry_delay: 1s, on_success_callback: [metrics]}\ntasks:\n";
    for (int i = 0; i < 8; ++i) {
      yaml += "  - {task_id: t" + std::to_string(i) + ", operator: branch, upstream: [";
      std::string sep;
      for (int u = 0; u < i; ++u)
        if (random.Below(3) == 0) yaml += sep + "t" + std::to_string(u), sep = ", ";
      yaml += "], trigger_rule: " + std::string(random.Below(4) == 0 ? "all_done" : "all_success") + "}\n";
    }
    dag = *LoadDagText("d.yaml", yaml, {});
  }

  /// A try's fate depends on task and try alone. Kills of processes may use up one more try, so the last two succeed.
  bool Succeeds(const std::string& key) const {
    uint64_t h = seed;
    for (char c : key) h = h * 1099511628211ULL + static_cast<unsigned char>(c);
    return key.back() >= '3' || h % 3 != 0;
  }

  /// Returns the number of transactions.
  int Run(int crash_at, bool after, bool processes_die) {
    ManualClock clock(1'704'067'200'000);
    auto inner = std::move(*OpenSqliteStore(""));
    CrashingStore store(*inner);
    store.crash_at = crash_at;
    store.after = after;
    World world;
    Random random(seed * 7919 + static_cast<uint64_t>(crash_at + 1));
    bool triggered = false;
    int callbacks_run = 0, total = 0;
    for (int life = 0; life < 3; ++life) {
      WorldExecutor executor(world, [this](const std::string& key) { return Succeeds(key); });
      std::vector<int64_t> owed;
      EngineOptions options;
      options.scheduler_id = "s" + std::to_string(life);
      Engine engine(options, store, executor, clock, [&](CallbackRequest r) { owed.push_back(r.row.id); });
      testing::EngineBench::Must(engine.SetDags({{"d", {dag, false}}}));
      testing::EngineBench::Must(engine.Recover());
      bool done = false;
      for (int step = 0; step < 2000 && !store.crashed && !done; ++step) {
        if (!triggered) {
          auto run = engine.Trigger("d", "{}", "r", 1'704'067'200'000, "manual");
          // The user asks again when the answer was lost.
          triggered = run.ok() || run.error().code() == ErrorCode::kAlreadyExists;
        }
        if (!executor.events.empty()) {
          size_t at = random.Below(executor.events.size());
          TaskEvent e = std::move(executor.events[at]);
          executor.events.erase(executor.events.begin() + static_cast<long>(at));
          engine.OnTaskEvent(std::move(e));
        } else if (!owed.empty() && random.Below(2) == 0) {
          engine.CallbackDone(owed.back());
          owed.pop_back();
          ++callbacks_run;
        } else if (!executor.EndOne(random)) {
          clock.Advance(1000);
        }
        if (!engine.Tick().ok()) break;
        auto run = inner->Run("d", "r");
        done = run.ok() && Finished(run->state) && owed.empty() && executor.events.empty();
      }
      total = store.applies;
      if (!store.crashed) break;
      // The scheduler is gone. What had not been told to go never will; the others live on or die with the machine.
      for (auto& [pid, p] : world.processes)
        if (p.began && !p.ended && processes_die) p.killed = true;
      auto exists = inner->Run("d", "r");
      triggered = exists.ok();
      store.crashed = false;
      store.crash_at = -1;
    }
    Check(*inner, world, processes_die);
    return total;
  }

  void Check(MetadataStore& store, const World& world, bool processes_die) {
    auto run = store.Run("d", "r");
    ASSERT_TRUE(run.ok());
    EXPECT_TRUE(Finished(run->state)) << Name(run->state);
    std::map<std::string, int> ends;
    auto transitions = store.Transitions("d", "r");
    auto tasks = store.Tasks("d", "r");
    ASSERT_TRUE(transitions.ok() && tasks.ok());
    ASSERT_EQ(tasks->size(), dag->tasks.size());
    for (const TransitionRow& t : *transitions) {
      std::optional<TaskState> to = ParseTaskState(t.to);
      if (!t.task_id.empty() && to && Finished(*to)) ++ends[t.task_id];
    }
    for (const TaskRow& t : *tasks) {
      EXPECT_TRUE(Finished(t.state)) << t.task_id << " is " << Name(t.state);
      EXPECT_EQ(ends[t.task_id], 1) << t.task_id << " ended so often";
      if (!processes_die) {
        EXPECT_EQ(Name(t.state), "success") << t.task_id;
        // Exactly the tries that it needs.
        int needs = 1;
        while (!Succeeds(t.task_id + "#" + std::to_string(needs))) ++needs;
        EXPECT_EQ(t.try_number, needs) << t.task_id;
      }
    }
    for (const auto& [key, times] : world.begun) EXPECT_EQ(times, 1) << "processes of " << key << " that began";
    EXPECT_TRUE(store.OwedCallbacks()->empty());
  }

  uint64_t seed;
  std::shared_ptr<const Dag> dag;
};

TEST(CrashSimulation, AtEveryTransaction) {
  int crashes = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Simulation simulation(seed);
    int transactions = simulation.Run(-1, false, false);
    ASSERT_GT(transactions, 20);
    for (int at = 0; at < transactions; ++at)
      for (bool after : {false, true})
        for (bool die : {false, true}) {
          SCOPED_TRACE(::testing::Message() << "seed " << seed << " transaction " << at
                                            << (after ? " after" : " before") << (die ? ", processes die" : ""));
          simulation.Run(at, after, die);
          ++crashes;
          if (::testing::Test::HasFailure()) return;
        }
  }
  RecordProperty("crashes", crashes);
  printf("%d crashes survived\n", crashes);
}

}  // namespace
}  // namespace tailrace::workflow
