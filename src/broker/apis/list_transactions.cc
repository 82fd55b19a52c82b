// ListTransactions: by state, producer id and age.

#include <algorithm>

#include "base/clock.h"
#include "broker/apis/registry.h"
#include "broker/transaction_coordinator.h"
#include "wire/messages/list_transactions.h"

namespace tailrace::broker {

Status HandleListTransactions(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::ListTransactionsRequest::Decode(call->body(), call->version()));
  wire::ListTransactionsResponse response;
  auto has = [](const auto& list, const auto& value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  };
  std::vector<std::string> known;
  for (int s = 0; s < kTransactionStates; ++s)
    known.emplace_back(TransactionStateName(static_cast<TransactionState>(s)));
  for (auto& state : request.state_filters) {
    if (!has(known, state)) response.unknown_state_filters.push_back(state);
  }
  int64_t now_ms = parts.clock.NowMs();
  for (const TransactionInfo& t : parts.transactions.List()) {
    std::string state(TransactionStateName(t.state));
    if (!request.state_filters.empty() && !has(request.state_filters, state)) continue;
    if (!request.producer_id_filters.empty() && !has(request.producer_id_filters, t.producer.id)) continue;
    if (request.duration_filter >= 0 && (t.start_ms < 0 || now_ms - t.start_ms <= request.duration_filter)) continue;
    response.transaction_states.push_back({t.transactional_id, t.producer.id, state});
  }
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
