// InitProducerId: an id for an idempotent producer, or the next epoch of a transactional one.

#include "wire/messages/init_producer_id.h"
#include "broker/apis/answers.h"
#include "broker/apis/registry.h"
#include "broker/producer_ids.h"
#include "broker/transaction_coordinator.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleInitProducerId(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::InitProducerIdRequest::Decode(call->body(), call->version()));
  auto answer = [call](KafkaError error, ProducerIdAndEpoch producer) {
    wire::InitProducerIdResponse response;
    response.error_code = call->Code(FencedAs(error, call->version(), 4));
    response.producer_id = producer.id;
    response.producer_epoch = producer.epoch;
    call->Respond(response);
  };
  if (!request.transactional_id) {
    Result<int64_t> id = parts.producer_ids.Next();
    if (id.ok()) {
      answer(KafkaError::kNone, {*id, 0});
    } else {
      answer(KafkaError::kCoordinatorNotAvailable, {});
    }
    return Ok();
  }
  parts.transactions.InitProducerId(*request.transactional_id, request.transaction_timeout_ms,
                                    {request.producer_id, request.producer_epoch}, false, answer);
  return Ok();
}

}  // namespace tailrace::broker
