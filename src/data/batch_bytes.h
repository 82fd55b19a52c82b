#pragma once
// A batch as bytes, for checkpoints: docs/formats/batch.md. Columns keep their arrays' layout, strings become lengths
// and bytes; origins are left out.

#include <string>

#include "data/batch.h"

namespace tailrace::data {

void AppendBatchBytes(const Batch& batch, std::string* out);

/// Reads one batch from the front of `*bytes` and moves it behind. The batch owns what it points at. kCorrupt: a wrong
/// checksum, or columns that are not of `types`; kUnsupported: a newer version.
Result<Batch> ReadBatchBytes(BytesView* bytes, const std::vector<Type>& types);

}  // namespace tailrace::data
