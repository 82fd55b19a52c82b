#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/patient_clock.h"
#include "base/random.h"
#include "base/result.h"

namespace tailrace {
namespace {

// The bit-by-bit definition, to hold the fast one against.
uint32_t SlowCrc(BytesView bytes) {
  uint32_t crc = ~0u;
  for (char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int k = 0; k < 8; k++) crc = (crc & 1) ? 0x82F63B78u ^ (crc >> 1) : crc >> 1;
  }
  return ~crc;
}

TEST(Crc32c, KnownAnswerAndEveryLengthAgainstTheDefinition) {
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);  // RFC 3720, appendix B.4
  Random random(1);
  std::string bytes;
  for (int i = 0; i < 10'000; i++) bytes += static_cast<char>(random.Next());
  for (size_t n : {0, 1, 7, 8, 9, 1023, 3071, 3072, 3073, 6144, 9999})
    EXPECT_EQ(Crc32c(BytesView(bytes).substr(0, n)), SlowCrc(BytesView(bytes).substr(0, n))) << n;
  EXPECT_EQ(Crc32c(BytesView(bytes).substr(100), Crc32c(BytesView(bytes).substr(0, 100))), Crc32c(bytes));
}

TEST(Utf8, AcceptsAndRefuses) {
  EXPECT_TRUE(IsUtf8("plain, \xC3\xA9, \xE2\x82\xAC, \xF0\x9F\x98\x80"));
  for (const char* bad : {"\x80", "\xC0\xAF", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xF0\x8F\xBF\xBF"})
    EXPECT_FALSE(IsUtf8(bad));
}

TEST(Duration, UnitsAndNonsense) {
  int64_t ms = 0;
  EXPECT_TRUE(ParseDurationMs("1.5 s", &ms));
  EXPECT_EQ(ms, 1500);
  EXPECT_TRUE(ParseDurationMs("5m", &ms));
  EXPECT_EQ(ms, 300'000);
  for (const char* bad : {"", "s", "-1s", "5 parsecs", "1e300s"}) EXPECT_FALSE(ParseDurationMs(bad, &ms)) << bad;
}

Result<int> Half(int n) {
  if (n % 2) return InvalidArgument("odd");
  return n / 2;
}
TEST(PatientClock, BelievesALeapForwardOnlyAfterItStood) {
  constexpr int64_t kDayMs = 86'400'000;
  ManualClock wall;
  PatientClock patient(wall, 60'000);
  const int64_t start = wall.NowMs();
  wall.Advance(5'000);
  wall.JumpWall(2'000);  // NTP's small steps are no leap
  EXPECT_EQ(patient.NowMs(), start + 7'000);
  wall.JumpWall(30 * kDayMs);
  EXPECT_EQ(patient.NowMs(), start + 7'000);
  wall.Advance(59'000);
  EXPECT_EQ(patient.NowMs(), start + 66'000);
  wall.JumpWall(-30 * kDayMs);  // set right in time: nothing happened
  EXPECT_EQ(patient.NowMs(), start + 66'000);
  wall.Advance(2'000);
  EXPECT_EQ(patient.NowMs(), start + 68'000);
  wall.JumpWall(30 * kDayMs);
  EXPECT_EQ(patient.NowMs(), start + 68'000);  // a new leap waits anew
  wall.Advance(60'000);
  EXPECT_EQ(patient.NowMs(), wall.NowMs());
  wall.JumpWall(-kDayMs);
  EXPECT_EQ(patient.NowMs(), wall.NowMs());  // back is believed at once
}

TEST(Result, TryReturnsTheError) {
  auto quarter = [](int n) -> Result<int> { return TRY(Half(TRY(Half(n)))); };
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().message(), "odd");
  EXPECT_EQ(InvalidArgument("bad").At("a.sql", 3, 4).Remedy("fix it").ToString(), "a.sql:3:4: bad; fix it");
}

TEST(Iso8601, BeforeAndAfterTheEpoch) {
  EXPECT_EQ(FormatIso8601Ms(1705314600123), "2024-01-15T10:30:00.123Z");
  EXPECT_EQ(FormatIso8601Ms(-1), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace tailrace
