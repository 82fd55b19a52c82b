#include "workflow/operators/kafka_offsets.h"

#include <fmt/format.h>

#include "log/client.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {

Result<TopicOffsets> OffsetsOfTopic(log::Client& client, const std::string& topic) {
  log::TopicDescription description = TRY(client.DescribeTopic(topic));
  TopicOffsets sum;
  for (int32_t p = 0; p < description.partitions; ++p) {
    auto [first, end] = TRY(client.Offsets({topic, p}));
    sum.first += first;
    sum.end += end;
    sum.records += end - first;
  }
  return sum;
}

namespace {

/// How many records topics hold, as XCom return_value {topic: records}.
class KafkaOffsets final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    log::Client* client = context.environment.services.log;
    if (client == nullptr) return Unsupported("no log is configured for this scheduler");
    Map records;
    for (const Value& topic : TRY(context.Values("topics"))) {
      TopicOffsets offsets = TRY(OffsetsOfTopic(*client, PythonStr(topic)));
      context.log.Info(fmt::format("{}: {} records", PythonStr(topic), offsets.records));
      records.Set(PythonStr(topic), Value(offsets.records));
    }
    return Outcome::Success().Return(Value(std::move(records)));
  }
};

}  // namespace

std::unique_ptr<Operator> MakeKafkaOffsets() { return std::make_unique<KafkaOffsets>(); }

}  // namespace tailrace::workflow
