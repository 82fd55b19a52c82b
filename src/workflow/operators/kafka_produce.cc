#include <fmt/format.h>

#include "log/client.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// Records into a topic: `records`, a list of texts or maps (as JSON), or one `value`; `key` for all of them.
class KafkaProduce final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    log::Client* client = context.environment.services.log;
    if (client == nullptr) return Unsupported("no log is configured for this scheduler");
    std::string topic = TRY(context.Text("topic")), key = TRY(context.Text("key", ""));
    List values = TRY(context.Values("records"));
    if (const Value* one = context.with.Find("value"); one && !one->is_null()) values.push_back(*one);
    std::vector<std::string> texts;
    for (const Value& v : values) texts.push_back(v.is_string() ? v.string() : ToJson(v));
    std::vector<log::RecordToWrite> records;
    for (const std::string& text : texts) records.push_back({key.empty() ? BytesView() : BytesView(key), text, -1, {}});
    auto writer = TRY(client->OpenWriter());
    TRY(writer->Append(topic, -1, records));
    TRY(writer->Flush());
    context.log.Info(fmt::format("Wrote {} records to {}", records.size(), topic));
    return Outcome::Success().Return(Value(static_cast<int64_t>(records.size())));
  }
};

}  // namespace

std::unique_ptr<Operator> MakeKafkaProduce() { return std::make_unique<KafkaProduce>(); }

}  // namespace tailrace::workflow
