// EndTxn: commit or abort.

#include "wire/messages/end_txn.h"
#include "broker/apis/answers.h"
#include "broker/apis/registry.h"
#include "broker/transaction_coordinator.h"

namespace tailrace::broker {

using wire::KafkaError;

Status HandleEndTxn(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::EndTxnRequest::Decode(call->body(), call->version()));
  parts.transactions.End(request.transactional_id, {request.producer_id, request.producer_epoch}, request.committed,
                         [call](KafkaError error) {
                           wire::EndTxnResponse response;
                           response.error_code = call->Code(FencedAs(error, call->version(), 2));
                           call->Respond(response);
                         });
  return Ok();
}

}  // namespace tailrace::broker
