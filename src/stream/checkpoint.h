#pragma once
// Checkpoint files: everything a job needs to go on from one epoch. docs/formats/checkpoint.md;
// docs/decisions/0002-commit-protocol.md says in which order they are written, decided and removed.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "stream/operator.h"

namespace tailrace::stream {

struct Checkpoint {
  uint64_t epoch = 0;
  int64_t created_ms = 0;
  bool finished = false;    // the job ended by itself: its next run starts anew
  std::string fingerprint;  // Graph::fingerprint
  uint32_t key_groups = 128;
  std::map<std::string, std::string> positions;    // by source id
  std::map<std::string, OperatorState> operators;  // by operator name; only those with state
  std::map<std::string, std::string> prepared;     // by sink id; only what is not empty
};

std::string EncodeCheckpoint(const Checkpoint& checkpoint);
/// kCorrupt: truncated, wrong checksum, or of a version this program does not know.
Result<Checkpoint> DecodeCheckpoint(BytesView bytes);

/// Where a job's checkpoints lie. The simulation has one that forgets what was not synced.
class CheckpointStore {
 public:
  virtual ~CheckpointStore() = default;
  /// On return the checkpoint is durable. `decides`: its being there is what makes the epoch stand, so that after a
  /// crash it must be there whole or not at all; else a commit point decides, a torn one does no harm, and one sync is
  /// enough: even and odd epochs each are written over what the last of their kind left.
  virtual Status Write(uint64_t epoch, const std::string& bytes, bool decides) = 0;
  virtual Result<std::string> Read(uint64_t epoch) = 0;
  /// Epochs there are files of, ascending.
  virtual Result<std::vector<uint64_t>> List() = 0;
  virtual Status Remove(uint64_t epoch) = 0;
  /// Forgets epochs before `epoch`; may keep what it will write over.
  virtual Status RemoveBefore(uint64_t epoch) = 0;
};

/// Files in `directory`, which is made: chk-N, which appears whole or not at all, or slot-0 and slot-1 in turn.
Result<std::unique_ptr<CheckpointStore>> OpenCheckpointDirectory(const std::string& directory);

}  // namespace tailrace::stream
