// AddOffsetsToTxn: a group's offsets will be part of the transaction.

#include "wire/messages/add_offsets_to_txn.h"
#include "broker/apis/answers.h"
#include "broker/apis/registry.h"
#include "broker/transaction_coordinator.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleAddOffsetsToTxn(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::AddOffsetsToTxnRequest::Decode(call->body(), call->version()));
  parts.transactions.AddGroup(request.transactional_id, {request.producer_id, request.producer_epoch}, request.group_id,
                              [call](KafkaError error) {
                                wire::AddOffsetsToTxnResponse response;
                                response.error_code = call->Code(FencedAs(error, call->version(), 2));
                                call->Respond(response);
                              });
  return Ok();
}

}  // namespace tailrace::broker
