#include "workflow/timetable/cron.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <vector>

#include "workflow/timetable/civil.h"

namespace tailrace::workflow {
namespace {

struct Field {
  const char* name;
  int least, most;
  const char* names;  // three letters each, from `least` (weekdays: from 0)
};
constexpr std::array<Field, 5> kFields = {{{"minute", 0, 59, ""},
                                           {"hour", 0, 23, ""},
                                           {"day of month", 1, 31, ""},
                                           {"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"},
                                           {"day of week", 0, 7, "SUNMONTUEWEDTHUFRISAT"}}};

std::vector<std::string_view> Split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i)
    if (i == text.size() || text[i] == by) {
      parts.push_back(text.substr(start, i - start));
      start = i + 1;
    }
  return parts;
}

bool ParseNumber(const Field& field, std::string_view text, int* out) {
  if (text.size() == 3 && *field.names != '\0') {
    std::string_view names = field.names;
    for (size_t i = 0; i < names.size(); i += 3) {
      bool same = true;
      for (size_t k = 0; k < 3; ++k) same &= (text[k] & ~0x20) == names[i + k];
      if (same) {
        *out = static_cast<int>(i / 3) + (field.most == 12 ? 1 : 0);
        return true;
      }
    }
  }
  if (text.empty() || text.size() > 2) return false;
  *out = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    *out = *out * 10 + (c - '0');
  }
  return true;
}

Error Bad(const Field& field, std::string_view part) {
  return Error(ErrorCode::kInvalidArgument, fmt::format("cron: '{}' can't stand in the {} field", part, field.name))
      .Remedy(fmt::format("use {} to {}, *, a-b, a,b or */n", field.least, field.most));
}

Result<uint64_t> ParseField(const Field& field, std::string_view text, bool* last_day) {
  uint64_t bits = 0;
  for (std::string_view part : Split(text, ',')) {
    if (part == "L" && field.most == 31) {
      *last_day = true;
      continue;
    }
    std::string_view range = part;
    int step = 1;
    bool stepped = false;
    if (size_t slash = part.find('/'); slash != std::string_view::npos) {
      range = part.substr(0, slash);
      stepped = true;
      std::string_view digits = part.substr(slash + 1);
      if (!ParseNumber(Field{"", 0, 99, ""}, digits, &step) || step == 0) return Bad(field, part);
    }
    int from = field.least, to = field.most;
    if (range != "*" && range != "?") {
      size_t dash = range.find('-');
      if (!ParseNumber(field, range.substr(0, dash), &from)) return Bad(field, part);
      if (dash != std::string_view::npos) {
        if (!ParseNumber(field, range.substr(dash + 1), &to)) return Bad(field, part);
      } else if (!stepped) {
        to = from;
      }
      if (from < field.least || from > field.most || to < field.least || to > field.most) return Bad(field, part);
    } else if (field.most == 7) {
      to = 6;
    }
    if (from > to) {  // 22-2, FRI-MON: over the end
      int span = field.most == 7 ? 7 : field.most - field.least + 1;
      for (int v = from; v <= to + span; v += step) bits |= 1ULL << (field.least + (v - field.least) % span);
    } else {
      for (int v = from; v <= to; v += step) bits |= 1ULL << v;
    }
  }
  return bits;
}

}  // namespace

Result<Cron> Cron::Parse(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::string_view word : Split(text, ' '))
    if (!word.empty()) words.push_back(word);
  if (words.size() != kFields.size())
    return Error(ErrorCode::kInvalidArgument, fmt::format("cron: '{}' has {} fields, not 5", text, words.size()))
        .Remedy("write: minute hour day-of-month month day-of-week");
  Cron cron;
  cron.minutes_ = TRY(ParseField(kFields[0], words[0], &cron.last_day_));
  cron.hours_ = static_cast<uint32_t>(TRY(ParseField(kFields[1], words[1], &cron.last_day_)));
  cron.days_ = static_cast<uint32_t>(TRY(ParseField(kFields[2], words[2], &cron.last_day_)));
  cron.months_ = static_cast<uint16_t>(TRY(ParseField(kFields[3], words[3], &cron.last_day_)));
  uint64_t weekdays = TRY(ParseField(kFields[4], words[4], &cron.last_day_));
  cron.weekdays_ = static_cast<uint8_t>((weekdays | weekdays >> 7) & 0x7f);
  cron.hour_any_ = words[1] == "*";
  cron.day_any_ = words[2] == "*" || words[2] == "?";
  cron.weekday_any_ = words[4] == "*" || words[4] == "?";
  return cron;
}

bool Cron::DayMatches(int64_t days) const {
  CivilTime c = CivilFromSeconds(days * 86400);
  if ((months_ >> c.month & 1) == 0) return false;
  bool by_day = (days_ >> c.day & 1) != 0 || (last_day_ && c.day == DaysInMonth(c.year, c.month));
  bool by_weekday = (weekdays_ >> DayOfWeek(days) & 1) != 0;
  if (day_any_) return by_weekday;
  if (weekday_any_) return by_day;
  return by_day || by_weekday;
}

constexpr int64_t kDaysMax = 50 * 366;

std::optional<int64_t> Cron::Next(int64_t local_s) const {
  int64_t minute = FloorDiv(local_s, 60) + 1;
  int64_t day = FloorDiv(minute, 1440);
  int from = static_cast<int>(FloorMod(minute, 1440));
  for (int64_t i = 0; i <= kDaysMax; ++i, ++day, from = 0) {
    if (!DayMatches(day)) continue;
    for (int h = from / 60; h < 24; ++h) {
      if ((hours_ >> h & 1) == 0) continue;
      int first = h == from / 60 ? from % 60 : 0;
      uint64_t rest = minutes_ >> first;
      if (rest != 0) return day * 86400 + h * 3600 + (first + std::countr_zero(rest)) * 60;
    }
  }
  return std::nullopt;
}

std::optional<int64_t> Cron::Previous(int64_t local_s) const {
  int64_t minute = FloorDiv(local_s - 1, 60);
  int64_t day = FloorDiv(minute, 1440);
  int from = static_cast<int>(FloorMod(minute, 1440));
  for (int64_t i = 0; i <= kDaysMax; ++i, --day, from = 1439) {
    if (!DayMatches(day)) continue;
    for (int h = from / 60; h >= 0; --h) {
      if ((hours_ >> h & 1) == 0) continue;
      int last = h == from / 60 ? from % 60 : 59;
      uint64_t rest = minutes_ & (~0ULL >> (63 - last));
      if (rest != 0) return day * 86400 + h * 3600 + (63 - std::countl_zero(rest)) * 60;
    }
  }
  return std::nullopt;
}

}  // namespace tailrace::workflow
