#include "workflow/operators/operator.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/clock.h"
#include "workflow/jinja/evaluator.h"

namespace tailrace::workflow {

void CancelToken::Cancel() {
  {
    std::lock_guard lock(mutex_);
    cancelled_ = true;
  }
  cv_.notify_all();
}

bool CancelToken::Sleep(int64_t ms) {
  std::unique_lock lock(mutex_);
  return !cv_.wait_for(lock, std::chrono::milliseconds(ms), [&] { return cancelled_.load(); });
}

Result<std::unique_ptr<TaskLog>> TaskLog::Open(const std::string& path, Clock& clock, bool to_stdout) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  int fd = open(path.c_str(), kFlags, 0644);
  if (fd < 0 && errno == ENOENT) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
      if (mkdir(path.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST)
        return IoError("mkdir " + path.substr(0, slash), errno);
    fd = open(path.c_str(), kFlags, 0644);
  }
  if (fd < 0) return IoError("open " + path, errno);
  return std::unique_ptr<TaskLog>(new TaskLog(fd, clock, to_stdout));
}

TaskLog::~TaskLog() { close(fd_); }

void TaskLog::Line(const char* level, std::string_view text) {
  std::string line =
      fmt::format("[{}] {} - {}\n", jinja::Strftime(DateTime{clock_.NowUs()}, "%Y-%m-%dT%H:%M:%S.%f%z"), level, text);
  [[maybe_unused]] ssize_t n =
      write(fd_, line.data(), line.size());  // O_APPEND: whole lines; a full disk loses log lines only
  if (to_stdout_) n = write(STDOUT_FILENO, line.data(), line.size());
}

namespace {

Error BadParam(const char* name, const char* wanted, const Value& found) {
  return InvalidArgument(fmt::format("{}: expected {}, found {}{}", name, wanted, found.KindName(),
                                     found.is_string() ? " '" + found.string() + "'" : ""));
}

Error Missing(const TaskContext& context, const char* name) {
  return InvalidArgument(fmt::format("operator {} needs the parameter '{}'", context.task.operator_name, name));
}

}  // namespace

Result<std::string> TaskContext::Text(const char* name, std::optional<std::string> otherwise) const {
  const Value* v = with.Find(name);
  if (v == nullptr || v->is_null()) return otherwise ? Result<std::string>(*otherwise) : Missing(*this, name);
  if (v->is_list() || v->is_map()) return BadParam(name, "a text", *v);
  if (v->is_bool()) return std::string(v->boolean() ? "true" : "false");
  return PythonStr(*v);
}

Result<double> TaskContext::Number(const char* name, std::optional<double> otherwise) const {
  const Value* v = with.Find(name);
  if (v == nullptr || v->is_null()) return otherwise ? Result<double>(*otherwise) : Missing(*this, name);
  if (v->is_number()) return v->number();
  if (v->is_string()) {
    char* end = nullptr;
    double d = strtod(v->string().c_str(), &end);
    if (!v->string().empty() && *end == '\0') return d;
  }
  return BadParam(name, "a number", *v);
}

Result<int64_t> TaskContext::Integer(const char* name, std::optional<int64_t> otherwise) const {
  const Value* v = with.Find(name);
  if (v == nullptr || v->is_null()) return otherwise ? Result<int64_t>(*otherwise) : Missing(*this, name);
  if (v->is_int()) return v->integer();
  if (v->is_string()) {
    char* end = nullptr;
    errno = 0;
    long long i = strtoll(v->string().c_str(), &end, 10);
    if (!v->string().empty() && *end == '\0' && errno == 0) return i;
  }
  return BadParam(name, "an integer", *v);
}

Result<bool> TaskContext::Boolean(const char* name, std::optional<bool> otherwise) const {
  const Value* v = with.Find(name);
  if (v == nullptr || v->is_null()) return otherwise ? Result<bool>(*otherwise) : Missing(*this, name);
  if (v->is_bool()) return v->boolean();
  if (v->is_string() && (v->string() == "true" || v->string() == "True")) return true;
  if (v->is_string() && (v->string() == "false" || v->string() == "False")) return false;
  return BadParam(name, "true or false", *v);
}

Result<int64_t> TaskContext::DurationMs(const char* name, std::optional<int64_t> otherwise) const {
  const Value* v = with.Find(name);
  if (v == nullptr || v->is_null()) return otherwise ? Result<int64_t>(*otherwise) : Missing(*this, name);
  int64_t ms = 0;
  if (v->is_number()) return static_cast<int64_t>(v->number() * 1000);
  if (v->is_string() && ParseDurationMs(v->string(), &ms)) return ms;
  return BadParam(name, "a duration such as 30s", *v);
}

Result<List> TaskContext::Values(const char* name) const {
  const Value* v = with.Find(name);
  if (v == nullptr || v->is_null()) return List();
  if (v->is_list()) return v->list();
  return List{*v};
}

std::string TaskContext::Path(const std::string& path) const {
  const std::string& base = environment.options.base_dir;
  return path.empty() || path[0] == '/' || base.empty() ? path : base + "/" + path;
}

Outcome Operator::ProcessEnded(TaskContext&, int code) {
  if (code == 0) return Outcome::Success();
  return Outcome::Fail(code > 128 ? fmt::format("ended by signal {}", code - 128)
                                  : fmt::format("exit status {}", code));
}
Result<Outcome> Operator::Execute(TaskContext& context) {
  return Internal(fmt::format("operator {} does not run here", context.task.operator_name));
}
Result<bool> Operator::Poke(TaskContext& context, Outcome*) {
  return Internal(fmt::format("operator {} is no sensor", context.task.operator_name));
}

}  // namespace tailrace::workflow
