#include "workflow/model/states.h"

#include <array>

namespace tailrace::workflow {
namespace {

constexpr std::array<std::string_view, kRunStates> kRunNames = {"queued", "running", "success", "failed"};
constexpr std::array<std::string_view, kTaskStates> kTaskNames = {
    "none",   "removed",      "scheduled",         "queued",          "running", "success", "restarting",
    "failed", "up_for_retry", "up_for_reschedule", "upstream_failed", "skipped", "deferred"};

constexpr uint8_t kS = 1;  // the scheduler may
constexpr uint8_t kU = 2;  // a user may, by clear or mark

constexpr uint8_t kRunMoves[kRunStates][kRunStates] = {
    //             queued running success failed
    /* queued  */ {0, kS, kU, kS | kU},
    /* running */ {kU, 0, kS | kU, kS | kU},
    /* success */ {kU, 0, 0, kU},
    /* failed  */ {kU, 0, kU, 0},
};

// Rows: from; columns: to, in the order of the enum. scheduled -> success: an `empty` task needs no worker.
// queued|running -> scheduled: the scheduler that held it died before its end was known, and it may run again.
// -> failed|skipped of what never ran: dagrun_timeout, or a mark.
constexpr uint8_t kTaskMoves[kTaskStates][kTaskStates] = {
    //               none removed sched  queued running success restart failed   retry resch upfail   skipped  deferred
    /* none       */ {0, kS, kS, 0, 0, kU, 0, kU, 0, 0, kS, kS | kU, 0},
    /* removed    */ {kS | kU, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
    /* scheduled  */ {kU, kS, 0, kS, 0, kS | kU, 0, kU, 0, 0, 0, kS | kU, 0},
    /* queued     */ {kU, kS, kS, 0, kS, kU, 0, kS | kU, kS, 0, 0, kS | kU, 0},
    /* running    */ {0, kS, kS, 0, 0, kS | kU, kU, kS | kU, kS, kS, 0, kS | kU, kS},
    /* success    */ {kU, kS, 0, 0, 0, 0, 0, kU, 0, 0, 0, kU, 0},
    /* restarting */ {kS | kU, kS, 0, 0, 0, kU, 0, kU, 0, 0, 0, kS | kU, 0},
    /* failed     */ {kU, kS, 0, 0, 0, kU, 0, 0, 0, 0, 0, kU, 0},
    /* retry      */ {kU, kS, kS, 0, 0, kU, 0, kS | kU, 0, 0, 0, kS | kU, 0},
    /* reschedule */ {kU, kS, kS, 0, 0, kU, 0, kS | kU, kS, 0, 0, kS | kU, 0},
    /* upstr_fail */ {kU, kS, 0, 0, 0, kU, 0, kU, 0, 0, 0, kU, 0},
    /* skipped    */ {kU, kS, 0, 0, 0, kU, 0, kU, 0, 0, 0, 0, 0},
    /* deferred   */ {kU, kS, kS, 0, 0, kU, 0, kS | kU, kS, 0, 0, kS | kU, 0},
};

constexpr uint8_t Bit(Mover mover) { return mover == Mover::kScheduler ? kS : kU; }

}  // namespace

std::string_view Name(RunState state) { return kRunNames[static_cast<size_t>(state)]; }
std::string_view Name(TaskState state) { return kTaskNames[static_cast<size_t>(state)]; }

std::optional<RunState> ParseRunState(std::string_view name) {
  for (size_t i = 0; i < kRunNames.size(); ++i)
    if (kRunNames[i] == name) return static_cast<RunState>(i);
  return std::nullopt;
}

std::optional<TaskState> ParseTaskState(std::string_view name) {
  for (size_t i = 0; i < kTaskNames.size(); ++i)
    if (kTaskNames[i] == name) return static_cast<TaskState>(i);
  return std::nullopt;
}

bool LegalMove(RunState from, RunState to, Mover mover) {
  return (kRunMoves[static_cast<size_t>(from)][static_cast<size_t>(to)] & Bit(mover)) != 0;
}

bool LegalMove(TaskState from, TaskState to, Mover mover) {
  return (kTaskMoves[static_cast<size_t>(from)][static_cast<size_t>(to)] & Bit(mover)) != 0;
}

}  // namespace tailrace::workflow
