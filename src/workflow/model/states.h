#pragma once
// States of DAG runs and task instances under Airflow's names, and every legal move between them.

#include <cstdint>
#include <optional>
#include <string_view>

namespace tailrace::workflow {

enum class RunState : uint8_t { kQueued, kRunning, kSuccess, kFailed };
inline constexpr int kRunStates = 4;

enum class TaskState : uint8_t {
  kNone,       // not looked at yet, or waiting for its upstreams
  kRemoved,    // the DAG file no longer has this task
  kScheduled,  // its dependencies are met; waits for slots
  kQueued,     // given to the executor
  kRunning,
  kSuccess,
  kRestarting,  // cleared while it ran: being killed, runs again
  kFailed,
  kUpForRetry,       // failed with tries left; waits for its retry delay
  kUpForReschedule,  // a sensor between two pokes, holding no slot
  kUpstreamFailed,
  kSkipped,
  kDeferred,  // waits for a trigger, holding no slot
};
inline constexpr int kTaskStates = 13;

/// Airflow's name: "up_for_retry", and "none" for kNone.
std::string_view Name(RunState state);
std::string_view Name(TaskState state);
std::optional<RunState> ParseRunState(std::string_view name);
std::optional<TaskState> ParseTaskState(std::string_view name);

/// Who moves it: the scheduler by its rules, or a user who clears or marks.
enum class Mover : uint8_t { kScheduler, kUser };
bool LegalMove(RunState from, RunState to, Mover mover);
bool LegalMove(TaskState from, TaskState to, Mover mover);

constexpr bool Finished(RunState s) { return s == RunState::kSuccess || s == RunState::kFailed; }
constexpr bool Finished(TaskState s) {
  return s == TaskState::kSuccess || s == TaskState::kFailed || s == TaskState::kSkipped ||
         s == TaskState::kUpstreamFailed || s == TaskState::kRemoved;
}
/// Holds a slot of its pool and of the executor.
constexpr bool Occupying(TaskState s) {
  return s == TaskState::kQueued || s == TaskState::kRunning || s == TaskState::kRestarting;
}

}  // namespace tailrace::workflow
