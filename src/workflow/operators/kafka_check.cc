#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "log/client.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// The log answers and has these topics. Tries again until `timeout`.
class KafkaCheck final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    log::Client* client = context.environment.services.log;
    if (client == nullptr) return Unsupported("no log is configured for this scheduler");
    List topics = TRY(context.Values("topics"));
    Clock& clock = context.environment.clock;
    const int64_t deadline_ms = clock.MonotonicMs() + TRY(context.DurationMs("timeout", 30'000));
    while (true) {
      std::string why;
      Result<std::vector<log::TopicDescription>> found = client->ListTopics();
      if (!found.ok()) {
        why = found.error().ToString();
      } else {
        for (const Value& topic : topics) {
          std::string name = PythonStr(topic);
          if (std::none_of(found->begin(), found->end(), [&](const auto& t) { return t.name == name; }))
            why += fmt::format("{}no topic '{}'", why.empty() ? "" : ", ", name);
        }
        if (why.empty()) {
          context.log.Info(fmt::format("The log answers; {} topics", found->size()));
          return Outcome::Success().Return(Value(static_cast<int64_t>(found->size())));
        }
      }
      if (clock.MonotonicMs() >= deadline_ms) return Outcome::Fail(why);
      context.log.Warning(why + "; trying again");
      if (!context.cancel.Sleep(500)) return Outcome::Fail("cancelled");
    }
  }
};

}  // namespace

std::unique_ptr<Operator> MakeKafkaCheck() { return std::make_unique<KafkaCheck>(); }

}  // namespace tailrace::workflow
