#include "io/file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tailrace::io {
namespace {

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* base = getenv("TMPDIR");
    directory = std::string(base ? base : "/tmp") + "/tailrace-file-XXXXXX";
    ASSERT_NE(mkdtemp(directory.data()), nullptr);
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(directory).ok()); }
  std::string directory;
};

TEST_F(FileTest, WritesPiecesAndReadsBack) {
  auto file = File::Open(directory + "/f", File::Mode::kCreateNew);
  ASSERT_TRUE(file.ok());
  std::vector<std::string> texts;
  std::vector<BytesView> pieces;
  std::string whole;
  for (int i = 0; i < 200; i++) texts.push_back(std::to_string(i) + (i % 7 == 0 ? "" : ","));  // more than one writev
  for (const std::string& text : texts) {
    pieces.push_back(text);
    whole += text;
  }
  pieces.push_back("");
  ASSERT_TRUE(file->WriteAt(pieces, 10).ok());
  std::string back(whole.size(), '\0');
  ASSERT_TRUE(file->ReadExactlyAt(back.data(), back.size(), 10).ok());
  EXPECT_EQ(back, whole);
  EXPECT_EQ(*file->ReadAt(back.data(), 100, 10 + whole.size() - 5), 5u);
  EXPECT_EQ(file->ReadExactlyAt(back.data(), 6, 10 + whole.size() - 5).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(File::Open(directory + "/f", File::Mode::kCreateNew).error().code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(File::Open(directory + "/none", File::Mode::kRead).error().code(), ErrorCode::kNotFound);
}

TEST_F(FileTest, MappingGrowsWithTheFile) {
  auto file = File::Open(directory + "/f", File::Mode::kCreate);
  auto mapping = Mapping::Map(*file, 1 << 20);
  ASSERT_TRUE(mapping.ok());
  ASSERT_TRUE(file->WriteAt("hello", 0).ok());
  EXPECT_EQ(std::string((*mapping)->data(), 5), "hello");
  ASSERT_TRUE(RemoveFile(directory + "/f").ok());
  EXPECT_EQ(std::string((*mapping)->data(), 5), "hello");
}

TEST_F(FileTest, AtomicFilesAndTrees) {
  ASSERT_TRUE(MakeDirectories(directory + "/a/b/c").ok());
  ASSERT_TRUE(MakeDirectories(directory + "/a/b/c").ok());
  ASSERT_TRUE(WriteFileAtomically(directory + "/a/b/f", "one").ok());
  ASSERT_TRUE(WriteFileAtomically(directory + "/a/b/f", "two").ok());
  EXPECT_EQ(*ReadFile(directory + "/a/b/f", 100), "two");
  EXPECT_EQ(ReadFile(directory + "/a/b/f", 2).error().code(), ErrorCode::kLimitExceeded);
  auto names = ListDirectory(directory + "/a/b");
  EXPECT_EQ(*names, (std::vector<std::string>{"c", "f"}));
  EXPECT_EQ(MakeDirectories(directory + "/a/b/f/x").error().code(), ErrorCode::kIo);
  ASSERT_TRUE(RemoveTree(directory + "/a").ok());
  EXPECT_FALSE(Exists(directory + "/a"));
  EXPECT_EQ(ListDirectory(directory + "/a").error().code(), ErrorCode::kNotFound);
}

TEST_F(FileTest, OneProcessADirectory) {
  auto lock = DirectoryLock::Acquire(directory);
  ASSERT_TRUE(lock.ok());
  pid_t child = fork();
  if (child == 0) {
    auto second = DirectoryLock::Acquire(directory);
    std::string expected = "data directory " + directory + " is in use by process " + std::to_string(getppid());
    _exit(!second.ok() && second.error().code() == ErrorCode::kConflict && second.error().message() == expected ? 0
                                                                                                                : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  { DirectoryLock released = *std::move(lock); }
  EXPECT_TRUE(DirectoryLock::Acquire(directory).ok());
}

}  // namespace
}  // namespace tailrace::io
