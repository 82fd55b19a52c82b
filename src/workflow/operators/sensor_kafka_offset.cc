#include <fmt/format.h>

#include "log/client.h"
#include "workflow/operators/kafka_offsets.h"
#include "workflow/operators/list.h"

namespace tailrace::workflow {
namespace {

/// True once a topic holds so many records.
class KafkaOffsetSensor final : public Operator {
 public:
  Result<bool> Poke(TaskContext& context, Outcome* outcome) override {
    log::Client* client = context.environment.services.log;
    if (client == nullptr) return Unsupported("no log is configured for this scheduler");
    std::string topic = TRY(context.Text("topic"));
    int64_t least = TRY(context.Integer("min_records", 1));
    Result<TopicOffsets> offsets = OffsetsOfTopic(*client, topic);
    if (!offsets.ok()) {
      if (offsets.error().code() != ErrorCode::kNotFound && !offsets.error().retriable())
        return std::move(offsets).error();
      outcome->message = offsets.error().message();
      return false;
    }
    outcome->message = fmt::format("{} has {} of {} records", topic, offsets->records, least);
    context.log.Info(outcome->message);
    if (offsets->records < least) return false;
    outcome->xcoms.emplace_back("return_value", std::to_string(offsets->records));
    return true;
  }
};

}  // namespace

std::unique_ptr<Operator> MakeKafkaOffsetSensor() { return std::make_unique<KafkaOffsetSensor>(); }

}  // namespace tailrace::workflow
