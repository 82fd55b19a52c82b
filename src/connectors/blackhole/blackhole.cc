// Takes every row and keeps none: for measuring what comes before.

#include "connectors/connector_spec.h"

namespace tailrace::connectors {

namespace {

class BlackholeSink final : public stream::Sink {
 public:
  Status Open() override { return Ok(); }
  Status Write(const data::Batch&) override { return Ok(); }
  Result<std::string> Prepare(uint64_t) override { return std::string(); }
  Status Commit(uint64_t, const std::string&) override { return Ok(); }
};

}  // namespace

const ConnectorSpec& BlackholeConnector() {
  static const ConnectorSpec spec = {"blackhole",
                                     "takes every row and keeps none",
                                     {},
                                     nullptr,
                                     nullptr,
                                     [](SinkArguments) -> Result<std::unique_ptr<stream::Sink>> {
                                       return std::unique_ptr<stream::Sink>(std::make_unique<BlackholeSink>());
                                     }};
  return spec;
}

}  // namespace tailrace::connectors
