#include "stream/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/random.h"

namespace tailrace::stream {
namespace {

std::string TempDir() {
  const char* base = getenv("TMPDIR");
  std::string path = std::string(base ? base : "/tmp") + "/tailrace_checkpoint_XXXXXX";
  return mkdtemp(path.data());
}

Checkpoint Example() {
  Checkpoint c;
  c.epoch = 42;
  c.created_ms = 1'700'000'000'123;
  c.fingerprint = "1 scan()";
  c.positions["events"] = std::string("\0\1\2", 3);
  c.prepared["files"] = "part-1";
  c.operators["aggregate-3"].whole = "w";
  c.operators["aggregate-3"].keyed[7] = "seven";
  c.operators["aggregate-3"].keyed[127] = std::string(100'000, 'x');
  return c;
}

TEST(Checkpoint, ComesBackAsWritten) {
  auto read = DecodeCheckpoint(EncodeCheckpoint(Example()));
  ASSERT_TRUE(read.ok()) << read.error().ToString();
  EXPECT_EQ(read->epoch, 42u);
  EXPECT_EQ(read->positions.at("events"), std::string("\0\1\2", 3));
  EXPECT_EQ(read->prepared.at("files"), "part-1");
  EXPECT_EQ(read->operators.at("aggregate-3").whole, "w");
  EXPECT_EQ(read->operators.at("aggregate-3").keyed.at(7), "seven");
  EXPECT_EQ(read->operators.at("aggregate-3").keyed.at(127).size(), 100'000u);
  EXPECT_FALSE(read->finished);
}

TEST(Checkpoint, EveryCutAndEveryFlippedByteIsNoticed) {
  std::string bytes = EncodeCheckpoint(Example()).substr(0);
  for (size_t n = 0; n < bytes.size(); n += n < 200 ? 1 : 997) {
    auto read = DecodeCheckpoint(bytes.substr(0, n));
    ASSERT_FALSE(read.ok()) << n;
    EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
  }
  for (size_t n = 0; n < bytes.size(); n += n < 200 ? 1 : 997) {
    std::string broken = bytes;
    broken[n] = static_cast<char>(broken[n] ^ 0x10);
    EXPECT_FALSE(DecodeCheckpoint(broken).ok()) << n;
  }
}

TEST(Checkpoint, RandomBytesNeverCrash) {
  Random random(7);
  for (int i = 0; i < 2000; i++) {
    std::string body;
    for (uint64_t n = random.Below(200); n > 0; n--) body.push_back(static_cast<char>(random.Next()));
    std::string file = EncodeCheckpoint(Checkpoint{}).substr(0, 12);
    char head[12];
    StoreLe64(head, body.size());
    StoreLe32(head + 8, Crc32c(body));
    (void)DecodeCheckpoint(file + std::string(head, 12) + body).ok();
  }
}

TEST(CheckpointDirectory, WritesListsReadsRemoves) {
  std::string dir = TempDir() + "/jobs/a job";
  auto opened = OpenCheckpointDirectory(dir);
  ASSERT_TRUE(opened.ok()) << opened.error().ToString();
  CheckpointStore& store = **opened;
  ASSERT_TRUE(store.Write(9, "nine", true).ok());
  ASSERT_TRUE(store.Write(10, "ten", true).ok());
  ASSERT_TRUE(store.Write(10, "ten again", true).ok());
  fclose(fopen((dir + "/chk-11.tmp").c_str(), "w"));  // a write that a crash cut short
  fclose(fopen((dir + "/notes").c_str(), "w"));
  EXPECT_EQ(*store.List(), (std::vector<uint64_t>{9, 10}));
  EXPECT_EQ(*store.Read(10), "ten again");
  EXPECT_EQ(store.Read(11).error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE(store.Remove(9).ok());
  EXPECT_TRUE(store.Remove(9).ok());
  EXPECT_EQ(*store.List(), (std::vector<uint64_t>{10}));
}

TEST(CheckpointDirectory, SlotsAreWrittenOverInTurn) {
  std::string dir = TempDir();
  Checkpoint c = Example();
  auto bytes = [&](uint64_t epoch) {
    c.epoch = epoch;
    c.operators["aggregate-3"].whole.resize(1000 - epoch);  // each a little shorter than the one it is written over
    return EncodeCheckpoint(c);
  };
  {
    auto store = std::move(*OpenCheckpointDirectory(dir));
    ASSERT_TRUE(store->Write(3, bytes(3), true).ok());
    for (uint64_t epoch = 4; epoch <= 9; epoch++) {
      ASSERT_TRUE(store->Write(epoch, bytes(epoch), false).ok());
      ASSERT_TRUE(store->RemoveBefore(epoch - 1).ok());
    }
  }
  auto store = std::move(*OpenCheckpointDirectory(dir));
  EXPECT_EQ(*store->List(), (std::vector<uint64_t>{8, 9}));
  for (uint64_t epoch : {8, 9}) {
    auto read = DecodeCheckpoint(*store->Read(epoch));
    ASSERT_TRUE(read.ok()) << read.error().ToString();
    EXPECT_EQ(read->epoch, epoch);
  }
  EXPECT_EQ(store->Read(7).error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(store->Remove(9).ok());  // written, never decided
  EXPECT_EQ(*store->List(), (std::vector<uint64_t>{8}));
  ASSERT_TRUE(store->Write(9, bytes(9), true).ok());  // a file beside the slots comes first
  EXPECT_EQ(*store->List(), (std::vector<uint64_t>{8, 9}));
}

TEST(CheckpointDirectory, APathThatIsAFileIsAnError) {
  std::string file = TempDir() + "/file";
  fclose(fopen(file.c_str(), "w"));
  auto opened = OpenCheckpointDirectory(file + "/checkpoints");
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message().find(file), std::string::npos);
}

}  // namespace
}  // namespace tailrace::stream
