#include "connectors/generator/events.h"

#include <algorithm>

#include "connectors/duckdb/store.h"
#include "data/json_tokens.h"
#include "data/value_text.h"

namespace tailrace::connectors {

namespace {

struct FieldSpan {
  std::string_view name;
  size_t key_begin;  // of the opening quote
  size_t value_begin, value_end;
};

/// The fields of a JSON object at its top level. False: not one.
bool TopLevelFields(const std::string& json, data::JsonIndexer& index, std::vector<FieldSpan>* fields) {
  fields->clear();
  data::JsonWalk walk;
  if (!index.Index(json, &walk.reason)) return false;
  walk.Start(json, index);
  if (walk.Peek() != '{') return false;
  walk.token++;
  if (walk.Peek() == '}') return true;
  while (walk.Peek() == '"') {
    FieldSpan field;
    field.key_begin = *walk.token;
    field.name = walk.TakeString();
    if (walk.Peek() != ':') return false;
    walk.token++;
    if (walk.AtEnd()) return false;
    field.value_begin = *walk.token;
    if (!walk.Skip(1) || walk.AtEnd()) return false;
    field.value_end = *walk.token;  // the comma or brace behind
    while (field.value_end > field.value_begin && json[field.value_end - 1] == ' ') field.value_end--;
    fields->push_back(field);
    if (walk.Peek() == '}') return true;
    if (walk.Peek() != ',') return false;
    walk.token++;
  }
  return false;
}

std::string SourceSql(const GeneratorSpec& spec, const std::string& path) {
  std::string file = QuoteLiteral(path);
  if (spec.format == "csv") return "read_csv(" + file + ", header = true)";
  if (spec.format == "tsv") return "read_csv(" + file + ", header = true, delim = '\t')";
  if (spec.format == "json") return "read_json(" + file + ", format = 'newline_delimited')";
  return "read_csv(" + file +
         ", header = false, auto_detect = false, delim = '\x01', quote = '', escape = '', columns = {'line': "
         "'VARCHAR'})";
}

std::string Unquoted(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"') return std::string(value.substr(1, value.size() - 2));
  return std::string(value);
}

bool ReadTime(std::string_view value, int64_t* ms) {
  std::string text = Unquoted(value);
  int64_t number;
  if (data::ParseTimestamp(text, &number)) {
    *ms = number / 1000;
    return true;
  }
  double d;
  if (!data::ParseDouble(text, &d) || !(d >= 0 && d < 4e15)) return false;
  *ms = static_cast<int64_t>(d < 2e10 ? d * 1000 : d < 2e13 ? d : d / 1000);  // seconds, milliseconds, microseconds
  return true;
}

}  // namespace

Result<std::vector<Event>> LoadEvents(const GeneratorSpec& spec, const std::string& base_dir) {
  std::string path = spec.path[0] == '/' || base_dir.empty() ? spec.path : base_dir + "/" + spec.path;
  auto store = TRY(Store::Open(":memory:"));
  auto at_file = [&](Error error) { return std::move(error).Context("generator " + spec.name).At(spec.where); };
  QueryOptions options;
  options.row_limit = kEventsMax;
  options.timeout_ms = 300'000;
  options.text = false;
  Status view = store->Execute("CREATE VIEW source AS SELECT * FROM " + SourceSql(spec, path));
  if (!view.ok()) return at_file(std::move(view).error());
  std::string sql = spec.sql.empty() ? "SELECT * FROM source" : spec.sql;
  auto rows = store->Query(sql, options);
  if (!rows.ok()) return at_file(std::move(rows).error());
  if (rows->truncated)
    return at_file(Error(ErrorCode::kLimitExceeded, "the source has over " + std::to_string(kEventsMax) + " events")
                       .Remedy("add a LIMIT or a WHERE to source.sql"));
  // One column named `event`: its text is the event.
  bool whole = rows->columns.size() == 1 && rows->columns[0].name == "event" &&
               rows->columns[0].type.id == data::TypeId::kVarchar;

  std::vector<Event> events;
  events.reserve(rows->json.size());
  data::JsonIndexer index;
  std::vector<FieldSpan> fields;
  data::JsonWalk unescape;
  for (std::string& json : rows->json) {
    Event event;
    if (whole) {
      std::string_view quoted = std::string_view(json).substr(9, json.size() - 10);  // {"event":"..."}
      if (quoted.size() < 2 || quoted[0] != '"') continue;                           // NULL
      if (!unescape.Unescape(quoted.substr(1, quoted.size() - 2), &event.json)) continue;
    } else {
      event.json = std::move(json);
    }
    if (!spec.key.empty() || !spec.time_field.empty()) {
      if (!TopLevelFields(event.json, index, &fields))
        return at_file(InvalidArgument("an event is not a JSON object: " + event.json.substr(0, 80)));
      for (const FieldSpan& f : fields) {
        std::string_view value = std::string_view(event.json).substr(f.value_begin, f.value_end - f.value_begin);
        if (f.name == spec.key && value != "null") event.key = Unquoted(value);
        if (f.name == spec.time_field) {
          event.time_begin = static_cast<uint32_t>(f.value_begin);
          event.time_end = static_cast<uint32_t>(f.value_end);
          if (spec.time_mode == EventTimeMode::kShifted && !ReadTime(value, &event.time_ms))
            return at_file(InvalidArgument("timestamps.field " + spec.time_field +
                                           ": not a time: " + std::string(value.substr(0, 60))));
        }
      }
      if (!spec.time_field.empty() && event.time_begin == event.time_end)
        return at_file(Error(InvalidArgument("events have no field '" + spec.time_field + "' to hold the time"))
                           .Remedy("name the field in timestamps.field, or add it in source.sql"));
    }
    events.push_back(std::move(event));
  }
  if (events.empty()) return at_file(InvalidArgument("the source " + path + " has no events"));
  return events;
}

void WriteEvent(const Event& event, const GeneratorSpec& spec, int64_t time_ms, std::string* out) {
  if (event.time_begin == event.time_end) {
    out->append(event.json);
    return;
  }
  out->append(event.json, 0, event.time_begin);
  char text[data::kValueTextMax];
  char* p = text;
  switch (spec.time_text) {
    case TimeText::kIso8601:
    case TimeText::kSql:
      *p++ = '"';
      p = data::WriteTimestamp(
          p, time_ms * 1000,
          spec.time_text == TimeText::kSql ? data::TimestampFormat::kSql : data::TimestampFormat::kIso8601, false);
      *p++ = '"';
      break;
    case TimeText::kEpochMs: p = data::WriteInt64(p, time_ms); break;
    case TimeText::kEpochSeconds: p = data::WriteDouble(p, static_cast<double>(time_ms) / 1000); break;
  }
  out->append(text, static_cast<size_t>(p - text));
  out->append(event.json, event.time_end, std::string::npos);
}

std::string BreakEvent(const std::string& json, BreakKind kind, Random& random) {
  data::JsonIndexer index;
  std::vector<FieldSpan> fields;
  bool object = TopLevelFields(json, index, &fields) && !fields.empty();
  std::string text = json;
  switch (kind) {
    case BreakKind::kTruncate: text.resize(1 + random.Below(std::max<size_t>(json.size() - 1, 1))); return text;
    case BreakKind::kWrongType: {
      if (!object) break;
      // A number is what a wrong type shows in; every decoder takes anything for a text.
      std::vector<const FieldSpan*> numbers;
      for (const FieldSpan& f : fields)
        if (json[f.value_begin] == '-' || (json[f.value_begin] >= '0' && json[f.value_begin] <= '9'))
          numbers.push_back(&f);
      const FieldSpan& f =
          numbers.empty() ? fields[random.Below(fields.size())] : *numbers[random.Below(numbers.size())];
      text.replace(f.value_begin, f.value_end - f.value_begin,
                   numbers.empty() ? "{\"not\": \"expected\"}" : "\"not a number\"");
      return text;
    }
    case BreakKind::kMissingField: {
      if (!object) break;
      size_t which = random.Below(fields.size());
      // With the comma behind it, or, for the last, the one before.
      size_t begin = fields[which].key_begin, end = fields[which].value_end;
      if (which + 1 < fields.size()) end = fields[which + 1].key_begin;
      else if (which > 0) begin = fields[which - 1].value_end;
      text.erase(begin, end - begin);
      return text;
    }
    case BreakKind::kInvalidUtf8:
      text.insert(1 + random.Below(std::max<size_t>(json.size() - 1, 1)), "\xC3\x28");
      return text;
    case BreakKind::kNotJson: break;
  }
  return "ERROR not an event: " + json.substr(0, json.size() / 2);
}

}  // namespace tailrace::connectors
