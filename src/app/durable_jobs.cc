#include "app/durable_jobs.h"

#include <fmt/format.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "base/logging.h"
#include "io/file.h"

namespace tailrace::app {
namespace {

constexpr int kVersion = 1;
constexpr size_t kRecordBytesMax = 16 << 20;
constexpr const char* kSuffix = ".json";

/// A name that is one path component, whatever the job is called.
std::string FileName(const std::string& job) {
  std::string out;
  for (unsigned char c : job) {
    const bool plain = std::isalnum(c) || c == '_' || c == '-' || (c == '.' && !out.empty());
    out += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return out + kSuffix;
}

class DurableJobsImpl final : public DurableJobs {
 public:
  DurableJobsImpl(std::string directory, stream::JobManagerOptions options, stream::ConnectorFactory& connectors,
                  Clock& clock)
      : directory_(std::move(directory)) {
    options.on_end = [this](const stream::JobInfo& info) {
      if (info.state == stream::JobState::kFinished || info.state == stream::JobState::kFailed) Forget(info.name);
    };
    jobs_ = stream::JobManager::Create(std::move(options), connectors, clock);
  }

  Result<std::string> Start(const std::string& file, const std::string& sql, stream::JobOptions options) override {
    const std::string name = TRY(jobs_->Start(file, sql, options));
    const nlohmann::json record = {
        {"version", kVersion}, {"file", file}, {"sql", sql}, {"name", options.name}, {"base_dir", options.base_dir}};
    if (Status kept = Record(name, record.dump()); !kept.ok()) {
      // Started but not durable would surprise after a crash.
      (void)jobs_->Stop(name);
      return std::move(kept).error().Context("job " + name + " cannot be recorded");
    }
    // A bounded job may have ended before its record was written; one that ends from here on is forgotten by on_end.
    auto info = jobs_->Describe(name);
    if (info.ok() && (info->state == stream::JobState::kFinished || info->state == stream::JobState::kFailed))
      Forget(name);
    return name;
  }

  Status Stop(const std::string& name) override {
    TRY(jobs_->Describe(name));
    Forget(name);
    return jobs_->Stop(name);
  }

  void Resume() override {
    auto names = io::ListDirectory(directory_);
    if (!names.ok()) return LogError("stream", "the jobs to resume cannot be listed: " + names.error().ToString());
    for (const std::string& entry : *names) {
      if (!entry.ends_with(kSuffix)) continue;
      if (Status resumed = ResumeOne(directory_ + "/" + entry); !resumed.ok())
        LogError("stream", "a job that ran before cannot be resumed: " + resumed.error().ToString());
    }
  }

  std::vector<stream::JobInfo> List() override { return jobs_->List(); }
  Result<stream::JobInfo> Describe(const std::string& name) override { return jobs_->Describe(name); }
  Result<stream::JobInfo> Wait(const std::string& name, int64_t timeout_ms) override {
    return jobs_->Wait(name, timeout_ms);
  }
  void Shutdown(int64_t deadline_ms) override { jobs_->Shutdown(deadline_ms); }

 private:
  Status ResumeOne(const std::string& path) {
    const std::string text = TRY(io::ReadFile(path, kRecordBytesMax));
    const nlohmann::json record = nlohmann::json::parse(text, nullptr, false);
    if (!record.is_object() || record.value("version", 0) != kVersion)
      return Corrupt(path + " is not a job record of version 1").Remedy("remove the file and start the job again");
    stream::JobOptions options;
    options.name = record.value("name", "");
    options.base_dir = record.value("base_dir", "");
    const std::string name = TRY(jobs_->Start(record.value("file", ""), record.value("sql", ""), options));
    LogInfo("stream", "job " + name + " resumed");
    return Ok();
  }

  Status Record(const std::string& name, const std::string& record) {
    std::lock_guard lock(mutex_);
    return io::WriteFileAtomically(directory_ + "/" + FileName(name), record);
  }
  void Forget(const std::string& name) {
    std::lock_guard lock(mutex_);
    if (Status removed = io::RemoveFile(directory_ + "/" + FileName(name)); !removed.ok())
      LogWarning("stream", "the record of job " + name + " stays: " + removed.error().ToString());
  }

  const std::string directory_;
  std::mutex mutex_;                          // one change of the directory at a time
  std::unique_ptr<stream::JobManager> jobs_;  // last: its threads call on_end until it is gone
};

}  // namespace

Result<std::unique_ptr<DurableJobs>> DurableJobs::Open(std::string directory, stream::JobManagerOptions options,
                                                       stream::ConnectorFactory& connectors, Clock& clock) {
  TRY(io::MakeDirectories(directory));
  return std::unique_ptr<DurableJobs>(
      std::make_unique<DurableJobsImpl>(std::move(directory), std::move(options), connectors, clock));
}

}  // namespace tailrace::app
