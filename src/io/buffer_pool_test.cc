#include "io/buffer_pool.h"

#include "gtest/gtest.h"

namespace tailrace::io {
namespace {

TEST(BufferPoolTest, LargeBuffersAreUsedAgainUntilTheyLieUnused) {
  auto pool = std::make_shared<BufferPool>();
  auto first = pool->Take(65'700);
  ASSERT_GE(first.capacity, 65'700u);
  char* at = first.bytes.get();
  pool->GiveBack(std::move(first));
  auto second = pool->Take(66'000);  // of the same size class
  EXPECT_EQ(second.bytes.get(), at);
  pool->GiveBack(std::move(second));
  pool->Trim();  // it was in use meanwhile
  EXPECT_GT(pool->kept_bytes(), 0u);
  pool->Trim();
  EXPECT_EQ(pool->kept_bytes(), 0u);
}

TEST(BufferPoolTest, KeepsNeitherSmallNorHugeOnesNorTooMany) {
  auto pool = std::make_shared<BufferPool>();
  pool->GiveBack(pool->Take(100));
  pool->GiveBack(pool->Take(100 << 20));
  EXPECT_EQ(pool->kept_bytes(), 0u);
  std::vector<BufferPool::Buffer> many;
  for (int i = 0; i < 40; i++) many.push_back(pool->Take(1 << 20));
  for (auto& buffer : many) pool->GiveBack(std::move(buffer));
  EXPECT_EQ(pool->kept_bytes(), BufferPool::kKeptBytesMax);
}

}  // namespace
}  // namespace tailrace::io
