#include "app/cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "api/services.h"
#include "app/cli/follow_run.h"
#include "app/cli/output.h"
#include "app/platform.h"
#include "base/clock.h"
#include "broker/broker.h"
#include "observe/alerts.h"
#include "observe/recent_log.h"
#include "stream/job_manager.h"
#include "workflow/scheduler.h"

namespace tailrace::app {
namespace {

constexpr int64_t kPlainEveryMs = 5'000;
constexpr size_t kRunsShown = 3;
constexpr const char* kBold = "\033[1m";
constexpr const char* kDim = "\033[90m";
constexpr const char* kRed = "\033[31m";
constexpr const char* kReset = "\033[0m";

/// Cut to `width` printed columns; colour sequences take none.
std::string Cut(const std::string& line, size_t width) {
  std::string out;
  size_t columns = 0;
  for (size_t i = 0; i < line.size();) {
    if (line[i] == '\033') {
      const size_t end = line.find('m', i);
      out += line.substr(i, end - i + 1);
      i = end == std::string::npos ? line.size() : end + 1;
      continue;
    }
    size_t next = i + 1;
    while (next < line.size() && (line[next] & 0xC0) == 0x80) ++next;
    if (++columns > width) break;
    out += line.substr(i, next - i);
    i = next;
  }
  return out + kReset;
}

std::string Clockface(int64_t ms) { return fmt::format("{}:{:02}", ms / 60'000, ms / 1000 % 60); }

}  // namespace

Progress::Progress(Platform& platform, bool terminal)
    : platform_(platform), terminal_(terminal), start_ms_(Clock::System().MonotonicMs()) {
  last_ms_ = last_plain_ms_ = start_ms_;
}

std::vector<std::string> Progress::Lines() {
  std::vector<std::string> lines;
  const int64_t now = Clock::System().MonotonicMs();
  const auto jobs = platform_.jobs()->List();
  uint64_t in = 0, out = 0, bad = 0;
  int64_t lag = -1, p99 = -1;
  for (const auto& job : jobs) {
    in += job.records_in;
    out += job.rows_out;
    bad += job.bad_records;
    if (job.state != stream::JobState::kRunning) continue;
    if (job.lag >= 0) lag = std::max<int64_t>(lag, 0) + job.lag;
    p99 = std::max(p99, job.latency.p99_us);
  }
  broker::BrokerStats stats;
  if (platform_.broker()) stats = platform_.broker()->Stats();
  moved_ = in + out + stats.messages_in;
  const uint64_t taken = platform_.broker() ? stats.messages_in : in;
  if (now - last_ms_ >= 900) {
    const double seconds = static_cast<double>(now - last_ms_) / 1000;
    in_per_second_ = static_cast<double>(taken - last_in_) / seconds;
    out_per_second_ = out >= last_out_ ? static_cast<double>(out - last_out_) / seconds : 0;
    last_in_ = taken;
    last_out_ = out;
    last_ms_ = now;
  }
  lines.push_back(fmt::format("{}{}  events in {}/s  out {}/s{}   read {}  written {}  bad {}  lag {}  p99 {}", kBold,
                              Clockface(now - start_ms_), FormatCount(in_per_second_), FormatCount(out_per_second_),
                              kReset, FormatCount(double(in)), FormatCount(double(out)), FormatCount(double(bad)),
                              lag < 0 ? "-" : FormatCount(double(lag)), p99 < 0 ? "-" : FormatMs(double(p99) / 1000)));
  lines.emplace_back();
  for (const auto& job : jobs) {
    if (job.state != stream::JobState::kRunning) {
      lines.push_back(fmt::format(
          "{}{:<20} {:<9} {} read, {} written, {} bad{}{}", job.state == stream::JobState::kFailed ? kRed : kDim,
          job.name, stream::JobStateName(job.state), FormatCount(double(job.records_in)),
          FormatCount(double(job.rows_out)), FormatCount(double(job.bad_records)), kReset,
          job.error.empty() ? "" : std::string("   ") + kRed + job.error.substr(0, 200) + kReset));
      continue;
    }
    lines.push_back(fmt::format("{:<20} {:<9} {:>9}/s → {:>9}/s   lag {:<7} p99 {:<8} bad {}", job.name,
                                stream::JobStateName(job.state), FormatCount(job.records_in_per_second),
                                FormatCount(job.rows_out_per_second), job.lag < 0 ? "-" : FormatCount(double(job.lag)),
                                job.latency.p99_us < 0 ? "-" : FormatMs(double(job.latency.p99_us) / 1000),
                                FormatCount(double(job.bad_records))));
  }
  if (jobs.empty()) lines.push_back(std::string(kDim) + "no streaming job yet" + kReset);
  if (platform_.scheduler()) {
    lines.emplace_back();
    if (auto runs = platform_.scheduler()->Runs("", static_cast<int>(kRunsShown)); runs.ok())
      for (auto run = runs->rbegin(); run != runs->rend(); ++run) {
        const std::string begin = fmt::format("{:<20} {:<8} ", run->dag_id, run->state);
        std::string line = begin;
        size_t columns = TextWidth(begin);
        if (auto tasks = platform_.scheduler()->Tasks(run->dag_id, run->run_id); tasks.ok())
          for (const auto& task : *tasks) {
            const size_t width = 3 + TextWidth(task.task_id);
            if (columns + width > TerminalWidth() && columns > TextWidth(begin)) {
              lines.push_back(line);
              line = std::string(TextWidth(begin), ' ');
              columns = line.size();
            }
            line += " " + TaskMark(task.state, true) + " " + task.task_id;
            columns += width;
          }
        lines.push_back(line);
      }
  }
  if (const auto* alerts = platform_.services().alerts)
    for (const auto& alert : alerts->Alerts())
      if (alert.state == observe::AlertState::kFiring)
        lines.push_back(std::string(kRed) + "alert: " + alert.message + kReset);
  if (const auto* recent = platform_.services().recent) {
    size_t shown = 0;
    for (const auto& line : recent->Lines())
      if (line.level == LogLevel::kError && shown++ < 2)
        lines.push_back(std::string(kRed) + line.component + ": " + line.message + kReset);
  }
  return lines;
}

void Progress::Draw() {
  const std::vector<std::string> lines = Lines();
  if (!terminal_) return PrintPlain();
  const size_t width = TerminalWidth();
  std::string out;
  if (drawn_lines_) out += fmt::format("\033[{}A", drawn_lines_);
  for (const std::string& line : lines) out += "\r\033[K" + Cut(line, width) + "\n";
  if (drawn_lines_ > lines.size()) out += "\033[J";
  drawn_lines_ = lines.size();
  std::fputs(out.c_str(), stdout);
  std::fflush(stdout);
}

void Progress::PrintPlain() {
  const int64_t now = Clock::System().MonotonicMs();
  if (platform_.scheduler())
    if (auto runs = platform_.scheduler()->Runs("", static_cast<int>(kRunsShown)); runs.ok())
      for (auto run = runs->rbegin(); run != runs->rend(); ++run)
        if (auto tasks = platform_.scheduler()->Tasks(run->dag_id, run->run_id); tasks.ok())
          for (const auto& task : *tasks) {
            std::string& known = task_states_[run->dag_id + "/" + run->run_id + "/" + task.task_id];
            if (known == task.state) continue;
            known = task.state;
            if (task.state == "running" || task.state == "success" || task.state == "failed" ||
                task.state == "up_for_retry" || task.state == "upstream_failed")
              std::printf("%s  %s  %s %s: %s%s\n", Clockface(now - start_ms_).c_str(),
                          TaskMark(task.state, false).c_str(), run->dag_id.c_str(), task.task_id.c_str(),
                          task.state.c_str(), task.note.empty() ? "" : (" (" + task.note.substr(0, 200) + ")").c_str());
          }
  if (now - last_plain_ms_ >= kPlainEveryMs) {
    last_plain_ms_ = now;
    for (const auto& job : platform_.jobs()->List()) {
      const std::string now_state = stream::JobStateName(job.state);
      std::string& known = job_states_[job.name];
      if (job.state == stream::JobState::kRunning)
        std::printf("%s  %s: in %s/s, out %s/s, lag %s, p99 %s, bad %s\n", Clockface(now - start_ms_).c_str(),
                    job.name.c_str(), FormatCount(job.records_in_per_second).c_str(),
                    FormatCount(job.rows_out_per_second).c_str(),
                    job.lag < 0 ? "-" : FormatCount(double(job.lag)).c_str(),
                    job.latency.p99_us < 0 ? "-" : FormatMs(double(job.latency.p99_us) / 1000).c_str(),
                    FormatCount(double(job.bad_records)).c_str());
      else if (known != now_state)
        std::printf("%s  %s: %s; %s read, %s written, %s bad %s\n", Clockface(now - start_ms_).c_str(),
                    job.name.c_str(), now_state.c_str(), FormatCount(double(job.records_in)).c_str(),
                    FormatCount(double(job.rows_out)).c_str(), FormatCount(double(job.bad_records)).c_str(),
                    job.error.c_str());
      known = now_state;
    }
  }
  std::fflush(stdout);
}

void Progress::Finish() {
  Draw();
  std::fputs("\n", stdout);
}

}  // namespace tailrace::app
