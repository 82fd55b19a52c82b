#pragma once
// A sink under kill -9: a child process writes numbered rows in epochs with the engine's protocol (write, Prepare,
// checkpoint file, Commit), is killed at random moments and started again until it is done.

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "connectors/test_support.h"

namespace tailrace::connectors {

struct KillPlan {
  int64_t rows_total = 20'000;
  int64_t rows_an_epoch = 100;
  int kills = 15;
  uint64_t seed = 1;
};

/// Runs in the child. `make_row` gives row n as JSON.
inline int RunSinkToTheEnd(const std::string& ddl, const std::string& dir, const KillPlan& plan,
                           const std::function<std::string(int64_t)>& make_row) {
  std::string checkpoint = dir + "/checkpoint.json";
  uint64_t epoch = 0;
  int64_t next = 0;
  std::string prepared;
  if (std::ifstream in(checkpoint); in) {
    auto json = nlohmann::json::parse(in);
    epoch = json["epoch"];
    next = json["next"];
    for (int byte : json["prepared"]) prepared += static_cast<char>(byte);
  }
  TestJob job(ddl, {}, dir);
  auto sink = job.Sink("t");
  if (!sink || !sink->Open().ok()) return 10;
  if (epoch && !sink->Commit(epoch, prepared).ok()) return 11;
  if (!sink->Discard(epoch).ok()) return 12;
  auto schema = job.table("t").physical_schema();
  while (next < plan.rows_total) {
    epoch++;
    std::vector<std::string> rows;
    for (int64_t i = 0; i < plan.rows_an_epoch && next < plan.rows_total; i++) rows.push_back(make_row(next++));
    if (!sink->Write(MakeBatch(schema, rows)).ok()) return 13;
    auto made = sink->Prepare(epoch);
    if (!made.ok()) return 14;
    std::vector<int> bytes;
    for (char c : *made) bytes.push_back(static_cast<unsigned char>(c));
    {
      std::ofstream out(checkpoint + ".tmp");
      out << nlohmann::json{{"epoch", epoch}, {"next", next}, {"prepared", bytes}};
    }
    if (rename((checkpoint + ".tmp").c_str(), checkpoint.c_str()) != 0) return 15;
    if (auto done = sink->Commit(epoch, *made); !done.ok()) {
      fprintf(stderr, "%s\n", done.error().ToString().c_str());
      return 16;
    }
  }
  return 0;
}

inline void KillAndResume(const std::string& ddl, const std::string& dir, const KillPlan& plan,
                          const std::function<std::string(int64_t)>& make_row) {
  Random random(plan.seed);
  int killed = 0;
  for (int run = 0; run < plan.kills + 200; run++) {
    pid_t child = fork();
    if (child == 0) _exit(RunSinkToTheEnd(ddl, dir, plan, make_row));
    if (killed < plan.kills) {
      usleep(static_cast<useconds_t>(20'000 + random.Below(150'000)));
      kill(child, SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
      killed++;
      continue;
    }
    ASSERT_EQ(WEXITSTATUS(status), 0);
    break;
  }
  EXPECT_GT(killed, 0);
}

}  // namespace tailrace::connectors
