#pragma once

#include "connectors/connector_spec.h"

namespace tailrace::connectors {

Result<std::unique_ptr<stream::Source>> MakeFilesystemSource(SourceArguments arguments);
Result<std::unique_ptr<stream::Sink>> MakeFilesystemSink(SinkArguments arguments);

}  // namespace tailrace::connectors
