#pragma once
// log::Client on the broker of the same process: readers get views of mapped segments, writers append without a socket.

#include <memory>

#include "log/client.h"

namespace tailrace {
class Clock;
}

namespace tailrace::broker {

class OffsetStore;
class TopicManager;
class TransactionCoordinator;

/// All references must outlive the client, and the client its readers and writers.
std::unique_ptr<log::Client> MakeEmbeddedClient(TopicManager& topics, OffsetStore& offsets,
                                                TransactionCoordinator& transactions, Clock& clock);

}  // namespace tailrace::broker
