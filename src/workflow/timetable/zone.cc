#include "workflow/timetable/zone.h"

#include <date/tz.h>
#include <fmt/format.h>

#include <map>
#include <mutex>

#include "workflow/timetable/civil.h"

namespace tailrace::workflow {
namespace {

using std::chrono::seconds;

class SystemZone final : public Zone {
 public:
  SystemZone(std::string name, const date::time_zone* zone) : name_(std::move(name)), zone_(zone) {}
  const std::string& name() const override { return name_; }
  int32_t OffsetAt(int64_t epoch_s) const override {
    return static_cast<int32_t>(zone_->get_info(date::sys_seconds(seconds(epoch_s))).offset.count());
  }
  int64_t FromLocal(int64_t local_s) const override {
    date::local_info info = zone_->get_info(date::local_seconds(seconds(local_s)));
    // In a gap the offset before it gives the instant whose wall time is later by the gap; where two instants show
    // this time, the second has the offset after the change.
    const auto& offset = info.result == date::local_info::ambiguous ? info.second.offset : info.first.offset;
    return local_s - offset.count();
  }

 private:
  std::string name_;
  const date::time_zone* zone_;
};

class UtcZone final : public Zone {
 public:
  const std::string& name() const override { return name_; }
  int32_t OffsetAt(int64_t) const override { return 0; }
  int64_t FromLocal(int64_t local_s) const override { return local_s; }

 private:
  std::string name_ = "UTC";
};

}  // namespace

const Zone* Zone::Utc() {
  static const UtcZone utc;
  return &utc;
}

Result<const Zone*> Zone::Find(const std::string& name) {
  if (name == "UTC" || name == "utc" || name == "Etc/UTC") return Utc();
  static std::mutex mutex;
  static auto* zones = new std::map<std::string, std::unique_ptr<Zone>>();
  std::lock_guard lock(mutex);
  auto it = zones->find(name);
  if (it == zones->end()) {
    try {
      it = zones->emplace(name, std::make_unique<SystemZone>(name, date::locate_zone(name))).first;
    } catch (const std::exception&) {
      return Error(ErrorCode::kNotFound, fmt::format("time zone '{}' is not known", name))
          .Remedy("use a name of the IANA database such as UTC or Europe/Berlin; install tzdata if it is missing");
    }
  }
  return it->second.get();
}

DateTime Zone::At(int64_t epoch_us) const {
  return DateTime{epoch_us, OffsetAt(FloorDiv(epoch_us, 1'000'000)), name()};
}

Result<DateTime> ParseDateTime(const std::string& text, const Zone& zone) {
  auto bad = [&] {
    return Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no date", text))
        .Remedy("write 2024-01-15, 2024-01-15T10:30:00 or 2024-01-15T10:30:00+02:00");
  };
  size_t at = 0;
  auto digits = [&](int least, int most, int* out) {
    int count = 0;
    *out = 0;
    while (count < most && at < text.size() && text[at] >= '0' && text[at] <= '9') {
      *out = *out * 10 + (text[at++] - '0');
      ++count;
    }
    return count >= least;
  };
  auto literal = [&](char c) { return at < text.size() && text[at] == c && ++at; };
  CivilTime c;
  int64_t us = 0;
  if (!digits(4, 4, &c.year) || !literal('-') || !digits(1, 2, &c.month) || !literal('-') || !digits(1, 2, &c.day))
    return bad();
  if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > DaysInMonth(c.year, c.month)) return bad();
  if (literal('T') || literal('t') || literal(' ')) {
    if (!digits(1, 2, &c.hour) || !literal(':') || !digits(2, 2, &c.minute)) return bad();
    if (literal(':') && !digits(2, 2, &c.second)) return bad();
    if (c.hour > 23 || c.minute > 59 || c.second > 59) return bad();
    if (literal('.')) {
      int64_t scale = 100'000;
      bool any = false;
      for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10, any = true)
        us += (text[at] - '0') * scale;
      if (!any) return bad();
    }
  }
  int64_t local_s = SecondsFromCivil(c);
  if (at == text.size()) return zone.At(zone.FromLocal(local_s) * 1'000'000 + us);
  int offset_s = 0;
  if (!literal('Z') && !literal('z')) {
    int sign = literal('+') ? 1 : literal('-') ? -1 : 0;
    int hours = 0, minutes = 0;
    if (sign == 0 || !digits(2, 2, &hours)) return bad();
    literal(':');
    if (at < text.size() && !digits(2, 2, &minutes)) return bad();
    if (hours > 23 || minutes > 59) return bad();
    offset_s = sign * (hours * 3600 + minutes * 60);
  }
  if (at != text.size()) return bad();
  DateTime t{(local_s - offset_s) * 1'000'000 + us, offset_s, "UTC"};
  if (offset_s != 0) t.zone = text.substr(text.size() - 6);
  return t;
}

}  // namespace tailrace::workflow
