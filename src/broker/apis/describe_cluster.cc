// DescribeCluster: one node.

#include "wire/messages/describe_cluster.h"
#include "broker/apis/answers.h"
#include "broker/apis/registry.h"
#include "broker/broker.h"
#include "broker/topics.h"

namespace tailrace::broker {

Status HandleDescribeCluster(Parts& parts, const CallPtr& call) {
  auto request = TRY(wire::DescribeClusterRequest::Decode(call->body(), call->version()));
  wire::DescribeClusterResponse response;
  constexpr int8_t kBrokers = 1;
  response.endpoint_type = request.endpoint_type;
  if (request.endpoint_type != kBrokers) {
    response.error_code = call->Code(request.endpoint_type == 2 ? wire::KafkaError::kMismatchedEndpointType
                                                                : wire::KafkaError::kUnsupportedEndpointType);
    response.error_message = "this endpoint serves brokers, not controllers";
    call->Respond(response);
    return Ok();
  }
  response.cluster_id = parts.topics.cluster_id();
  response.controller_id = parts.options.node_id;
  auto& broker = response.brokers.emplace_back();
  broker.broker_id = parts.options.node_id;
  broker.host = parts.options.advertised_host;
  broker.port = parts.port.load();
  if (request.include_cluster_authorized_operations) response.cluster_authorized_operations = kAllClusterOperations;
  call->Respond(response);
  return Ok();
}

}  // namespace tailrace::broker
