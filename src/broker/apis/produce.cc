// Produce: checks what clients send, appends it, and answers when it is on disk.

#include <fmt/format.h>

#include <atomic>
#include <memory>

#include "base/clock.h"
#include "base/logging.h"
#include "broker/apis/produce_append.h"
#include "broker/apis/registry.h"
#include "broker/broker.h"
#include "broker/metrics.h"
#include "broker/topics.h"
#include "io/event_loop.h"
#include "log/partition.h"
#include "wire/messages/produce.h"

namespace tailrace::broker {
namespace {

using wire::KafkaError;

/// Lives until every partition of the request is on disk.
struct Pending : std::enable_shared_from_this<Pending> {
  explicit Pending(Parts& p) : parts(p) { parts.produces_pending++; }
  ~Pending() { parts.produces_pending--; }

  Parts& parts;
  CallPtr call;
  wire::ProduceResponse response;
  std::atomic<int> flushes_left{1};  // one for the request itself, until all its partitions are appended
  std::atomic<bool> failed{false};

  void Done() {
    if (flushes_left.fetch_sub(1) != 1) return;
    if (call->loop().InLoop()) return Answer();
    // The flusher has the next fsync to start; encoding is the loop's work.
    call->loop().Post([self = shared_from_this()] { self->Answer(); });
  }

  void Answer() {
    if (failed) {
      // One code for all: which of the partitions' disks failed is in the log.
      for (auto& topic : response.topics) {
        for (auto& partition : topic.partitions) {
          if (partition.error_code == 0) partition.error_code = call->Code(KafkaError::kKafkaStorageError);
        }
      }
    }
    call->Respond(response);
  }
};

void LogFailure(const Status& status) {
  if (status.ok()) return;
  LogError("broker", "records could not be written and were not acknowledged: " + status.error().ToString());
}

}  // namespace

Status HandleProduce(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::ProduceRequest::Decode(call->body(), call->version()));
  bool by_id = call->version() >= 13;
  auto pending = std::make_shared<Pending>(parts);
  pending->call = call;
  pending->response.topics.reserve(request.topics.size());
  bool any_error = false;
  bool acks_known = request.acks >= -1 && request.acks <= 1;
  const bool transactional_request = request.transactional_id.has_value();
  for (auto& topic_data : request.topics) {
    TopicPtr topic = by_id ? parts.topics.FindById(topic_data.topic_id.bytes) : parts.topics.Find(topic_data.name);
    auto& topic_answer = pending->response.topics.emplace_back();
    topic_answer.name = std::move(topic_data.name);
    topic_answer.topic_id = topic_data.topic_id;
    topic_answer.partitions.reserve(topic_data.partitions.size());
    for (auto& data : topic_data.partitions) {
      auto& answer = topic_answer.partitions.emplace_back();
      answer.index = data.index;
      answer.base_offset = -1;
      ProduceOutcome outcome;
      if (!acks_known) {
        outcome.error = KafkaError::kInvalidRequiredAcks;
      } else if (!topic) {
        outcome.error = by_id ? KafkaError::kUnknownTopicId : KafkaError::kUnknownTopicOrPartition;
      } else if (data.index < 0 || data.index >= static_cast<int32_t>(topic->partitions.size())) {
        outcome.error = KafkaError::kUnknownTopicOrPartition;
      } else {
        outcome = AppendProduced(parts, *topic, data.index, data.records, call->body_owner(), call->version(),
                                 transactional_request);
      }
      if (outcome.error != KafkaError::kNone) {
        any_error = true;
        answer.error_code = call->Code(outcome.error);
        if (!outcome.message.empty()) {
          if (outcome.error == KafkaError::kInvalidRecord) answer.record_errors.push_back({0, outcome.message});
          answer.error_message = std::move(outcome.message);
        }
        continue;
      }
      answer.base_offset = outcome.result.base_offset;
      answer.log_append_time_ms = outcome.result.log_append_time_ms;
      answer.log_start_offset = outcome.result.log_start_offset;
      const auto& partition = topic->partitions[static_cast<size_t>(data.index)];
      if (request.acks == 0) {
        // Nobody waits, but readers see only what is on disk: somebody has to ask for that.
        partition->WhenFlushed(outcome.result.end_offset, LogFailure);
        continue;
      }
      pending->flushes_left.fetch_add(1, std::memory_order_relaxed);
      partition->WhenFlushed(outcome.result.end_offset, [pending](Status status) {
        LogFailure(status);
        if (!status.ok()) pending->failed = true;
        pending->Done();
      });
    }
  }
  call->ReleaseFrame();  // the partitions hold it until it is written, not until it is synced
  if (request.acks == 0) {
    // Kafka's only way to tell a client that asked for no answer.
    if (any_error) {
      call->Close(fmt::format("a Produce request with acks=0 of client '{}' failed", call->client_id()));
    } else {
      call->RespondNothing();
    }
    return Ok();
  }
  pending->Done();
  return Ok();
}

}  // namespace tailrace::broker
