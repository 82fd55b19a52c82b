#include "app/durable_generators.h"

#include <nlohmann/json.hpp>

#include "base/logging.h"
#include "connectors/generator/generator_spec.h"
#include "http/url.h"
#include "io/file.h"

namespace tailrace::app {
namespace {

constexpr int kVersion = 1;
constexpr size_t kFileBytesMax = 4 << 20;
constexpr const char* kSuffix = ".json";

class DurableGeneratorsImpl final : public DurableGenerators {
 public:
  DurableGeneratorsImpl(std::string directory, log::Client& client, Clock& clock)
      : directory_(std::move(directory)), generators_(connectors::GeneratorManager::Create(client, clock)) {}

  Result<std::string> Start(const std::string& file, const std::string& yaml, const std::string& base_dir,
                            const std::map<std::string, std::string>& overrides) override {
    const connectors::GeneratorSpec spec = TRY(connectors::ParseGenerator(file, yaml, overrides));
    const std::string name = TRY(generators_->Start(file, yaml, base_dir, overrides));
    if (!spec.loop || spec.limit != 0) return name;
    const nlohmann::json record = {
        {"version", kVersion}, {"file", file}, {"yaml", yaml}, {"base_dir", base_dir}, {"overrides", overrides}};
    if (Status kept = io::WriteFileAtomically(RecordOf(name), record.dump()); !kept.ok()) {
      (void)generators_->Stop(name);
      return std::move(kept).error().Context("generator " + name + " cannot be recorded");
    }
    return name;
  }
  Result<std::string> StartFile(const std::string& path, const std::string& base_dir,
                                const std::map<std::string, std::string>& overrides) override {
    return Start(path, TRY(io::ReadFile(path, kFileBytesMax)), base_dir, overrides);
  }
  Status Stop(const std::string& name) override {
    TRY(generators_->Describe(name));
    if (Status removed = io::RemoveFile(RecordOf(name)); !removed.ok())
      LogWarning("generators", "the record of " + name + " stays: " + removed.error().ToString());
    return generators_->Stop(name);
  }
  std::vector<connectors::GeneratorInfo> List() override { return generators_->List(); }
  Result<connectors::GeneratorInfo> Describe(const std::string& name) override { return generators_->Describe(name); }

  void Resume() override {
    auto entries = io::ListDirectory(directory_);
    if (!entries.ok()) return;
    for (const std::string& entry : *entries) {
      if (!entry.ends_with(kSuffix)) continue;
      const std::string path = directory_ + "/" + entry;
      if (Status resumed = ResumeOne(path); !resumed.ok())
        LogError("generators", "a generator that ran before cannot be resumed: " + resumed.error().ToString());
    }
  }
  void Shutdown() override {
    for (const auto& generator : generators_->List())
      if (generator.state == connectors::GeneratorState::kRunning) (void)generators_->Stop(generator.name);
  }

 private:
  std::string RecordOf(const std::string& name) const { return directory_ + "/" + http::PercentEncode(name) + kSuffix; }
  Status ResumeOne(const std::string& path) {
    const auto record = nlohmann::json::parse(TRY(io::ReadFile(path, 2 * kFileBytesMax)), nullptr, false);
    if (!record.is_object() || record.value("version", 0) != kVersion)
      return Corrupt(path + " is not a generator's record of version 1")
          .Remedy("remove the file and start the generator again");
    std::map<std::string, std::string> overrides;
    if (record.contains("overrides") && record["overrides"].is_object())
      for (const auto& [key, value] : record["overrides"].items())
        if (value.is_string()) overrides[key] = value.get<std::string>();
    const std::string name = TRY(generators_->Start(record.value("file", ""), record.value("yaml", ""),
                                                    record.value("base_dir", ""), overrides));
    LogInfo("generators", name + " resumed");
    return Ok();
  }

  const std::string directory_;
  std::unique_ptr<connectors::GeneratorManager> generators_;
};

}  // namespace

Result<std::unique_ptr<DurableGenerators>> DurableGenerators::Open(std::string directory, log::Client& client,
                                                                   Clock& clock) {
  TRY(io::MakeDirectories(directory));
  return std::unique_ptr<DurableGenerators>(
      std::make_unique<DurableGeneratorsImpl>(std::move(directory), client, clock));
}

}  // namespace tailrace::app
