#include "app/platform.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>

#include "api/routes.h"
#include "api/server.h"
#include "api/services.h"
#include "app/durable_generators.h"
#include "app/durable_jobs.h"
#include "base/clock.h"
#include "base/logging.h"
#include "broker/broker.h"
#include "config/suggest.h"
#include "connectors/generator/generator_manager.h"
#include "connectors/kafka/log_client.h"
#include "connectors/registry.h"
#include "http/json_writer.h"
#include "io/file.h"
#include "log/client.h"
#include "observe/alerts.h"
#include "observe/recent_log.h"
#include "stream/job_manager.h"
#include "workflow/scheduler.h"

extern char** environ;

namespace tailrace::app {
namespace {

// Together below the 5 s that SIGTERM promises.
constexpr int64_t kTaskGraceMs = 1'000;
constexpr int64_t kJobGraceMs = 2'000;
constexpr int64_t kHttpGraceMs = 300;

std::map<std::string, std::string> Environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

std::string JoinPath(const std::string& dir, const std::string& path) {
  return path.starts_with('/') ? path : dir + "/" + path;
}

std::map<std::string, int> PoolsOf(const config::Project& project) {
  std::map<std::string, int> pools;
  for (const config::PoolConfig& pool : project.pools) pools[pool.name] = pool.slots;
  return pools;
}

broker::BrokerOptions MakeBrokerOptions(const config::Settings& s, const std::string& data_dir) {
  broker::BrokerOptions o;
  o.data_dir = data_dir + "/log";
  const std::string& bind = s.String("bind.address");
  const std::string& advertised = s.String("broker.advertised.host");
  o.advertised_host = !advertised.empty() ? advertised : bind == "0.0.0.0" || bind == "localhost" ? "127.0.0.1" : bind;
  o.auto_create_topics = s.Bool("broker.auto.create.topics");
  o.default_partitions = static_cast<int32_t>(s.Int("broker.default.partitions"));
  o.segment_bytes = s.Bytes("broker.segment.bytes");
  o.segment_ms = s.DurationMs("broker.segment.age");
  o.retention_ms = s.DurationMs("broker.retention");
  o.retention_bytes = s.Bytes("broker.retention.bytes");
  o.retention_check_interval_ms = s.DurationMs("broker.retention.check.interval");
  o.max_message_bytes = static_cast<int32_t>(s.Bytes("broker.max.message.bytes"));
  o.max_request_bytes = static_cast<int32_t>(s.Bytes("broker.max.request.bytes"));
  o.max_decompressed_bytes = s.Bytes("broker.max.decompressed.bytes");
  o.max_connections = static_cast<int32_t>(s.Int("broker.max.connections"));
  o.max_queued_bytes = s.Bytes("broker.max.queued.bytes");
  o.flush_before_ack = s.Bool("broker.flush.before.ack");
  o.group_min_session_timeout_ms = static_cast<int32_t>(s.DurationMs("broker.group.min.session.timeout"));
  o.group_max_session_timeout_ms = static_cast<int32_t>(s.DurationMs("broker.group.max.session.timeout"));
  o.group_initial_rebalance_delay_ms = static_cast<int32_t>(s.DurationMs("broker.group.initial.rebalance.delay"));
  o.offsets_retention_ms = s.DurationMs("broker.offsets.retention");
  o.io_threads = static_cast<int32_t>(s.Int("broker.io.threads"));
  return o;
}

/// Alerts as JSON records on the topic of their rule. Called by one thread at a time.
class AlertTopics {
 public:
  explicit AlertTopics(log::Client& client) : client_(client) {}
  void Send(const observe::Alert& alert, const std::string& topic) {
    if (auto status = TrySend(alert, topic); !status.ok())
      LogWarning("alerts", "an alert could not be written to the topic " + topic + ": " + status.error().ToString());
  }

 private:
  Status TrySend(const observe::Alert& alert, const std::string& topic) {
    if (!writer_) writer_ = TRY(client_.OpenWriter());
    const std::string value = alert.ToJson();
    const log::RecordToWrite record{alert.job, value, -1, {}};
    TRY(writer_->Append(topic, -1, std::span(&record, 1)));
    return writer_->Flush();
  }
  log::Client& client_;
  std::unique_ptr<log::Writer> writer_;
};

class PlatformImpl final : public Platform {
 public:
  explicit PlatformImpl(PlatformOptions options) : options_(std::move(options)), clock_(Clock::System()) {}
  ~PlatformImpl() override { Stop(); }

  Status Open() {
    const config::Settings& s = options_.settings;
    services_.started_ms = clock_.NowMs();
    services_.clock = &clock_;
    services_.settings = s;
    services_.recent = &recent_;
    services_.stopping = [this] { return stopped_.load(); };
    data_dir_ = TRY(DataDir::Open(s.String("data.dir")));
    services_.data_dir = endpoint_.data_dir = data_dir_->path();
    endpoint_.pid = ::getpid();
    TRY(OpenLog());
    if (options_.broker_only) return data_dir_->Publish(endpoint_);
    OpenProject();
    TRY(OpenEngine());
    TRY(OpenHttp());  // before the scheduler: its tasks are told the address
    jobs_->Resume();  // before the scheduler: a task that went on waits for its job
    TRY(OpenScheduler());
    http_->Open();
    TRY(data_dir_->Publish(endpoint_));
    // Reading a generator's source may take a while, and nobody has to wait for it.
    resuming_ = std::thread([this] { generators_->Resume(); });
    return Ok();
  }

  const Endpoint& endpoint() const override { return endpoint_; }
  const api::Services& services() const override { return services_; }
  log::Client& log() override { return *services_.log; }
  stream::JobManager* jobs() override { return jobs_.get(); }
  workflow::Scheduler* scheduler() override { return scheduler_.get(); }
  workflow::OperatorServices operator_services() override { return {services_.log, jobs_.get(), generators_.get()}; }
  broker::Broker* broker() override { return broker_.get(); }

  std::vector<Applied> Apply(const config::Project& project) override {
    std::lock_guard lock(apply_mutex_);
    std::vector<Applied> out;
    for (const config::TopicConfig& topic : project.topics) out.push_back(ApplyTopic(topic));
    ApplyPools(project, &out);
    for (const config::StoreConfig& store : project.stores) {
      const std::string path = JoinPath(project.dir, store.path);
      const bool same = std::any_of(services_.stores.begin(), services_.stores.end(),
                                    [&](const api::Store& s) { return s.name == store.name && s.path == path; });
      out.push_back({"store", store.name, same ? "ready" : "changed: takes effect at the next start", false});
    }
    if (scheduler_)
      for (const auto& dag : scheduler_->Dags())
        out.push_back({"dag", dag.error.empty() ? dag.dag_id : dag.file, dag.error.empty() ? "loaded" : dag.error,
                       !dag.error.empty()});
    for (const std::string& name : project.autostart) out.push_back(Autostart(name));
    return out;
  }

  void Stop() override {
    if (stopped_.exchange(true)) return;
    if (resuming_.joinable()) resuming_.join();
    if (scheduler_) scheduler_->Shutdown(kTaskGraceMs);
    if (generators_) generators_->Shutdown();
    if (jobs_) jobs_->Shutdown(kJobGraceMs);
    if (http_) http_->Stop(kHttpGraceMs);
    http_.reset();  // its handlers and its sampler look at the others
    scheduler_.reset();
    generators_.reset();
    jobs_.reset();
    alert_topics_.reset();
    if (broker_)
      if (auto status = broker_->Close(); !status.ok()) LogError("broker", "closing: " + status.error().ToString());
    broker_.reset();
    data_dir_.reset();
  }

 private:
  Status OpenLog() {
    const config::Settings& s = options_.settings;
    std::string cluster;
    if (!options_.profile.empty() && options_.project)
      if (const config::Profile* profile = options_.project->FindProfile(options_.profile)) cluster = profile->kafka;
    if (!cluster.empty()) {
      cluster_ = TRY(connectors::OpenKafkaClient(cluster, {}));
      services_.log = cluster_.get();
      services_.kafka = endpoint_.kafka = cluster;
      return Ok();
    }
    broker_ = TRY(broker::Broker::Open(MakeBrokerOptions(s, data_dir_->path()), clock_));
    auto port = broker_->Listen(s.String("bind.address"), s.Port("port.kafka"));
    if (!port.ok()) {
      Error error = std::move(port).error();
      if (error.code() == ErrorCode::kConflict)
        return std::move(error).Remedy("stop that program or give --port-kafka another port (0 = any free one)");
      return error;
    }
    const broker::BrokerOptions defaults = MakeBrokerOptions(s, data_dir_->path());
    services_.broker = broker_.get();
    services_.log = &broker_->client();
    services_.kafka = endpoint_.kafka = defaults.advertised_host + ":" + std::to_string(*port);
    own_addresses_ = {endpoint_.kafka, "127.0.0.1:" + std::to_string(*port), "localhost:" + std::to_string(*port)};
    return Ok();
  }

  void OpenProject() {
    // Tasks and SQL files see where the platform is, whoever reads them.
    services_.variables = Environment();
    services_.variables["TAILRACE_KAFKA"] = endpoint_.kafka;
    if (!options_.project) return;
    const config::Project& project = *options_.project;
    services_.project_name = project.name;
    services_.project_dir = endpoint_.project = project.dir;
    for (const auto& store : project.stores)
      services_.stores.push_back({store.name, JoinPath(project.dir, store.path)});
    for (const auto& [name, value] : project.variables) services_.variables[name] = value;
    if (const config::Profile* profile = project.FindProfile(options_.profile))
      for (const auto& [name, value] : profile->variables) services_.variables[name] = value;
    pools_ = PoolsOf(project);
    services_.apply = [this]() -> Result<std::string> {
      const config::Project now = TRY(config::LoadProject(options_.project->dir));
      http::JsonWriter json;
      json.BeginObject().Key("applied").BeginArray();
      for (const Applied& a : Apply(now))
        json.BeginObject()
            .Field("kind", a.kind)
            .Field("name", a.name)
            .Field("result", a.result)
            .Field("failed", a.failed)
            .EndObject();
      json.EndArray().EndObject();
      return json.Take();
    };
  }

  Status OpenEngine() {
    const config::Settings& s = options_.settings;
    connectors::Services c;
    c.embedded = services_.log;
    c.own_addresses = own_addresses_;
    c.clock = &clock_;
    c.data_dir = data_dir_->path();
    if (cluster_) {
      c.embedded = nullptr;
      c.default_bootstrap = endpoint_.kafka;
    }
    connectors_ = connectors::MakeConnectors(c);
    stream::JobManagerOptions j;
    j.checkpoint_dir = data_dir_->path() + "/checkpoints";
    j.max_jobs = static_cast<int>(s.Int("stream.max.jobs"));
    j.max_restarts = static_cast<int>(s.Int("stream.max.restarts"));
    jobs_ = TRY(DurableJobs::Open(data_dir_->path() + "/jobs", j, *connectors_, clock_));
    generators_ = TRY(DurableGenerators::Open(data_dir_->path() + "/generators", *services_.log, clock_));
    services_.generators = [this] { return Generators(); };
    services_.start_generator = [this](const std::string& name, double rate) { return StartGenerator(name, rate); };
    services_.stop_generator = [this](const std::string& name) -> Result<api::GeneratorStatus> {
      TRY(generators_->Stop(name));
      return ToStatus(TRY(generators_->Describe(name)));
    };
    services_.connectors = connectors_.get();
    services_.jobs = jobs_.get();

    alert_topics_ = std::make_unique<AlertTopics>(*services_.log);
    alerts_ = std::make_unique<observe::AlertEngine>(
        options_.project ? options_.project->alerts : std::vector<config::AlertRule>(), clock_,
        [this](const observe::Alert& alert, const config::AlertRule& rule) {
          const std::string line =
              std::string(observe::AlertStateName(alert.state)) + ": " + alert.rule + ": " + alert.message;
          if (alert.state == observe::AlertState::kFiring) LogWarning("alerts", line);
          else LogInfo("alerts", line);
          if (!rule.topic.empty()) alert_topics_->Send(alert, rule.topic);
        });
    services_.alerts = alerts_.get();
    return Ok();
  }

  Status OpenHttp() {
    const config::Settings& s = options_.settings;
    const std::string& bind = s.String("bind.address");
    http_ = TRY(api::Server::Start(services_, bind, s.Port("port.http")));
    const std::string host = bind == "0.0.0.0" || bind == "localhost" ? "127.0.0.1"
                             : bind.find(':') == std::string::npos    ? bind
                                                                      : "[" + bind + "]";
    services_.http = endpoint_.http = "http://" + host + ":" + std::to_string(http_->port());
    return Ok();
  }

  Status OpenScheduler() {
    const config::Settings& s = options_.settings;
    workflow::SchedulerOptions o;
    o.base_dir = options_.project ? options_.project->dir : data_dir_->path();
    o.dags_dir = o.base_dir + "/dags";
    o.data_dir = data_dir_->path() + "/workflow";
    o.kafka_bootstrap = endpoint_.kafka;
    o.http_url = endpoint_.http;
    o.parallelism = static_cast<int>(s.Int("workflow.parallelism"));
    o.max_active_tasks = static_cast<int>(s.Int("workflow.max.active.tasks"));
    o.max_active_runs = static_cast<int>(s.Int("workflow.max.active.runs"));
    o.pools = pools_;
    for (const api::Store& store : services_.stores) o.stores[store.name] = store.path;
    o.runs_kept = static_cast<int>(s.Int("workflow.runs.kept"));
    o.retention_ms = s.DurationMs("workflow.retention");
    if (options_.project) o.alert_topic = options_.project->alert_topic;
    scheduler_ = TRY(workflow::Scheduler::Start(std::move(o), {services_.log, jobs_.get(), generators_.get()}, clock_));
    services_.scheduler = scheduler_.get();
    return Ok();
  }

  api::GeneratorStatus ToStatus(const connectors::GeneratorInfo& info) const {
    const std::string base = options_.project ? options_.project->dir + "/" : "/";
    return {info.name,
            info.file.starts_with(base) ? info.file.substr(base.size()) : info.file,
            info.state == connectors::GeneratorState::kRunning,
            info.sent,
            info.rate,
            info.error};
  }
  std::string GeneratorsDir() const {
    return options_.project ? JoinPath(options_.project->dir, options_.project->generators_dir) : std::string();
  }
  /// Those that were started, and the files of the project that were not.
  std::vector<api::GeneratorStatus> Generators() {
    std::vector<api::GeneratorStatus> out;
    for (const auto& info : generators_->List()) out.push_back(ToStatus(info));
    if (!options_.project) return out;
    auto files = io::ListDirectory(GeneratorsDir());
    if (!files.ok()) return out;
    for (const std::string& file : *files) {
      if (!file.ends_with(".yaml")) continue;
      const std::string name = file.substr(0, file.size() - 5);
      if (std::none_of(out.begin(), out.end(), [&](const auto& g) { return g.name == name; }))
        out.push_back({name, options_.project->generators_dir + "/" + file, false, 0, 0, ""});
    }
    return out;
  }
  Result<api::GeneratorStatus> StartGenerator(const std::string& name, double rate) {
    std::vector<std::string> names;
    for (const auto& generator : Generators()) names.push_back(generator.name);
    if (std::find(names.begin(), names.end(), name) == names.end())
      return NotFound("there is no generator '" + name + "'")
          .Remedy(names.empty() ? "put a YAML file into the project's generators/"
                                : config::SuggestRemedy(name, names));
    std::map<std::string, std::string> overrides;
    if (rate > 0) overrides["rate"] = std::to_string(rate);
    const std::string started =
        TRY(generators_->StartFile(GeneratorsDir() + "/" + name + ".yaml", options_.project->dir, overrides));
    return ToStatus(TRY(generators_->Describe(started)));
  }

  void ApplyPools(const config::Project& project, std::vector<Applied>* out) {
    const std::map<std::string, int> before = std::exchange(pools_, PoolsOf(project));
    Status set = scheduler_ ? scheduler_->SetPools(pools_) : Ok();
    for (const auto& [name, slots] : pools_) {
      auto was = before.find(name);
      const bool same = was != before.end() && was->second == slots;
      out->push_back({"pool", name,
                      !set.ok() ? set.error().ToString()
                      : same    ? "ready"
                                : "set to " + std::to_string(slots) + " slots",
                      !set.ok()});
    }
    for (const auto& [name, slots] : before)
      if (!pools_.contains(name)) out->push_back({"pool", name, "removed", false});
  }

  Applied ApplyTopic(const config::TopicConfig& topic) {
    Applied applied{"topic", topic.name, "ready", false};
    auto now = services_.log->DescribeTopic(topic.name);
    if (now.ok()) {
      if (now->partitions != topic.partitions)
        applied.result = "has " + std::to_string(now->partitions) + " partitions, the project says " +
                         std::to_string(topic.partitions);
      return applied;
    }
    const Status made = now.error().code() == ErrorCode::kNotFound
                            ? services_.log->CreateTopic({topic.name, topic.partitions, topic.configs})
                            : Status(std::move(now).error());
    if (made.ok()) {
      applied.result = "created";
    } else {
      applied.failed = true;
      applied.result = made.error().ToString();
    }
    return applied;
  }

  Applied Autostart(const std::string& name) {
    Applied applied{"stream", name, "running", false};
    if (!autostarted_.insert(name).second) return applied;
    auto started = [&]() -> Result<std::string> {
      const api::StreamFile file = TRY(api::ReadStreamFile(services_, name));
      stream::JobOptions options;
      options.base_dir = services_.project_dir;
      return jobs_->Start(file.path, file.text, options);
    }();
    if (started.ok()) {
      applied.result = "started";
    } else if (started.error().code() != ErrorCode::kAlreadyExists) {
      autostarted_.erase(name);
      applied.failed = true;
      applied.result = started.error().ToString();
    }
    return applied;
  }

  const PlatformOptions options_;
  Clock& clock_;
  Endpoint endpoint_;
  observe::RecentLog recent_;
  api::Services services_;
  std::map<std::string, int> pools_;
  std::vector<std::string> own_addresses_;
  std::mutex apply_mutex_;
  std::set<std::string> autostarted_;
  std::atomic<bool> stopped_{false};
  std::thread resuming_;

  // In the order they start; Stop() goes the other way.
  std::unique_ptr<DataDir> data_dir_;
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<log::Client> cluster_;
  std::unique_ptr<stream::ConnectorFactory> connectors_;
  std::unique_ptr<DurableJobs> jobs_;
  std::unique_ptr<DurableGenerators> generators_;
  std::unique_ptr<AlertTopics> alert_topics_;
  std::unique_ptr<observe::AlertEngine> alerts_;
  std::unique_ptr<api::Server> http_;
  std::unique_ptr<workflow::Scheduler> scheduler_;
};

}  // namespace

Result<std::unique_ptr<Platform>> Platform::Start(PlatformOptions options) {
  if (!options.profile.empty()) {
    std::vector<std::string> names{"embedded"};
    if (options.project)
      for (const auto& profile : options.project->profiles) names.push_back(profile.name);
    if (std::find(names.begin(), names.end(), options.profile) == names.end())
      return InvalidArgument("the project has no profile '" + options.profile + "'")
          .Remedy(config::SuggestRemedy(options.profile, names));
  }
  auto platform = std::make_unique<PlatformImpl>(std::move(options));
  TRY(platform->Open());
  return std::unique_ptr<Platform>(std::move(platform));
}

Status ResolveSettings(const std::optional<config::Project>& project, config::Settings* settings) {
  TRY(settings->SetFromEnvironment(Environment()));
  if (project)
    for (const config::SettingValue& value : project->settings)
      TRY(settings->Set(value.name, value.value, config::SettingOrigin::kFile));
  const std::string base = project ? project->dir : ".";
  if (settings->String("data.dir").empty())
    return settings->Set("data.dir", base + "/.tailrace", config::SettingOrigin::kDefault);
  if (settings->Origin("data.dir") == config::SettingOrigin::kFile)  // relative to the file that says it
    return settings->Set("data.dir", JoinPath(base, settings->String("data.dir")), config::SettingOrigin::kFile);
  return Ok();
}

}  // namespace tailrace::app
