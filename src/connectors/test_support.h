#pragma once
// What the tests of this module share. Failures are reported to GoogleTest from test_support_test.cc.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/waker.h"
#include "connectors/registry.h"
#include "sql/planner.h"

namespace tailrace::connectors {

/// A directory under TMPDIR, removed at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::shared_ptr<const sql::Script> Parse(const std::string& text);

/// One job's connectors over a parsed script.
struct TestJob {
  std::shared_ptr<const sql::Script> script;
  stream::ConnectorContext context;
  Waker waker;
  std::unique_ptr<stream::ConnectorFactory> factory;
  std::unique_ptr<stream::JobConnectors> connectors;

  TestJob(const std::string& sql, Services services, std::string base_dir, std::string job = "job");
  const sql::Table& table(const std::string& name) const { return *script->FindTable(name); }
  /// `columns` empty: all.
  std::unique_ptr<stream::Source> Source(const std::string& name, std::vector<int> columns = {});
  std::unique_ptr<stream::Sink> Sink(const std::string& name);
};

/// Rows as JSON, one string each.
std::vector<std::string> Rows(const data::Schema& schema, const std::vector<data::Batch>& batches);

/// A batch from JSON rows, which are copied into it.
data::Batch MakeBatch(const data::Schema& schema, const std::vector<std::string>& texts,
                      const std::vector<data::RowKind>& kinds = {});

/// Polls until the end, or until `rows` came.
std::vector<data::Batch> Drain(stream::Source& source, uint64_t rows = UINT64_MAX,
                               std::vector<stream::BadRecord>* bad = nullptr, int64_t timeout_ms = 10'000);

struct KillPlan {
  int64_t rows_total = 20'000;
  int64_t rows_an_epoch = 100;
  int kills = 15;
  uint64_t seed = 1;
};

/// The sink of table `t` under kill -9: a child process writes numbered rows in epochs with the engine's protocol
/// (write, Prepare, checkpoint file, Commit), is killed at random moments and started again until it is done.
/// `make_row` gives row n as JSON.
void KillAndResume(const std::string& ddl, const std::string& dir, const KillPlan& plan,
                   const std::function<std::string(int64_t)>& make_row);

}  // namespace tailrace::connectors
