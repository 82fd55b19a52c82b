#pragma once
// For tests of the engine: an executor whose tasks are entries of a table, and a store that "crashes".

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "workflow/dag_yaml/loader.h"
#include "workflow/scheduler/engine.h"

namespace tailrace::workflow::testing {

/// Runs nothing. A task's end is what `script` says, at once after Go; nullopt: it runs until End().
class FakeExecutor final : public Executor {
 public:
  std::function<std::optional<Outcome>(const TaskRequest&)> script = [](const TaskRequest&) {
    return Outcome::Success();
  };
  std::deque<TaskEvent> events;
  std::vector<std::string> went;  // "task#try" in the order of Go
  std::map<int64_t, TaskRequest> held;

  void Start(TaskRequest request) override {
    int64_t ticket = request.ticket;
    held[ticket] = std::move(request);
    TaskEvent ready;
    ready.kind = TaskEvent::Kind::kReady;
    ready.ticket = ticket;
    events.push_back(ready);
  }
  void Go(int64_t ticket) override {
    auto it = held.find(ticket);
    if (it == held.end()) return;
    went.push_back(it->second.instance.task_id + "#" + std::to_string(it->second.instance.try_number));
    if (std::optional<Outcome> outcome = script(it->second)) End(ticket, std::move(*outcome));
  }
  void Kill(int64_t ticket, const std::string& reason) override {
    if (held.contains(ticket)) End(ticket, Outcome::Fail("killed: " + reason));
  }
  void Adopt(TaskRequest request) override {
    int64_t ticket = request.ticket;
    held[ticket] = std::move(request);
    End(ticket, {Outcome::Kind::kLost, "lost"});
  }
  void Shutdown(int64_t) override {}
  void End(int64_t ticket, Outcome outcome) {
    TaskEvent event;
    event.kind = TaskEvent::Kind::kEnded;
    event.ticket = ticket;
    event.outcome = std::move(outcome);
    events.push_back(std::move(event));
    held.erase(ticket);
  }
  int64_t TicketOf(const std::string& task_id) const {
    for (const auto& [ticket, request] : held)
      if (request.instance.task_id == task_id) return ticket;
    return 0;
  }
};

/// An engine with a manual clock over a metadata database in memory.
class EngineBench {
 public:
  explicit EngineBench(const std::string& yaml, int64_t now_ms = 1'704'067'200'000, EngineOptions options = {},
                       bool paused = false)
      : clock(now_ms), paused_(paused) {
    store = std::move(*OpenSqliteStore(""));
    Open(yaml, options);
  }
  void Open(const std::string& yaml, EngineOptions options = {}) {
    options.scheduler_id = "s";
    options.hostname = "h";
    engine = std::make_unique<Engine>(options, *store, executor, clock, [this](CallbackRequest r) {
      callbacks.push_back(r.row.task_id + ":" + r.row.event);
      engine->CallbackDone(r.row.id);
    });
    Load(yaml);
    Must(engine->Recover());
    Settle();
  }
  void Load(const std::string& yaml) {
    auto loaded = LoadDagText("d.yaml", yaml, {});
    Must(loaded.ok() ? Status() : Status(loaded.error()));
    dag = *loaded;
    Must(engine->SetDags({{dag->dag_id, {dag, paused_}}}));
  }
  static void Must(const Status& status) {
    if (!status.ok()) {
      fprintf(stderr, "%s\n", status.error().ToString().c_str());
      abort();
    }
  }
  /// Everything that can happen without time passing.
  void Settle() {
    Must(engine->Tick());
    while (!executor.events.empty()) {
      TaskEvent event = std::move(executor.events.front());
      executor.events.pop_front();
      engine->OnTaskEvent(std::move(event));
      Must(engine->Tick());
    }
  }
  /// Time passes, timer by timer.
  void Advance(int64_t ms) {
    const int64_t end = clock.MonotonicMs() + ms;
    while (true) {
      int64_t next = engine->NextWakeMs();
      int64_t step = std::max<int64_t>(std::min(next, end) - clock.MonotonicMs(), 0);
      clock.Advance(step);
      Settle();
      if (clock.MonotonicMs() >= end) return;
      if (step == 0) clock.Advance(1);
    }
  }
  std::string Trigger(const std::string& run_id = "r1", std::optional<int64_t> date = std::nullopt) {
    auto run = engine->Trigger(dag->dag_id, "{}", run_id, date, "manual");
    Must(run.ok() ? Status() : Status(run.error()));
    Settle();
    return run->run_id;
  }
  std::string State(const std::string& task, const std::string& run = "r1") {
    auto tasks = store->Tasks(dag->dag_id, run);
    for (const TaskRow& t : *tasks)
      if (t.task_id == task) return std::string(Name(t.state));
    return "absent";
  }
  std::string RunState(const std::string& run = "r1") {
    auto row = store->Run(dag->dag_id, run);
    return row.ok() ? std::string(Name(row->state)) : "absent";
  }

  ManualClock clock;
  bool paused_ = false;
  std::unique_ptr<MetadataStore> store;
  FakeExecutor executor;
  std::vector<std::string> callbacks;
  std::unique_ptr<Engine> engine;
  std::shared_ptr<const Dag> dag;
};

}  // namespace tailrace::workflow::testing
