#pragma once

#include "base/result.h"

namespace tailrace::workflow {

class Database;

inline constexpr int kMetadataVersion = 1;

/// Creates the tables, or brings an older version up to this one. kCorrupt: not ours, or newer than this program.
Status PrepareSchema(Database& db);

}  // namespace tailrace::workflow
