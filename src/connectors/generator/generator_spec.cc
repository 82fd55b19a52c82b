#include "connectors/generator/generator_spec.h"

#include <yaml-cpp/yaml.h>

#include <functional>

#include "config/suggest.h"

namespace tailrace::connectors {

namespace {

constexpr BreakKind kAllKinds[] = {BreakKind::kTruncate, BreakKind::kWrongType, BreakKind::kMissingField,
                                   BreakKind::kInvalidUtf8, BreakKind::kNotJson};

class Reader {
 public:
  Reader(std::string file) : file_(std::move(file)) {}

  SourceLocation At(const YAML::Node& node) const {
    YAML::Mark mark = node.Mark();
    return mark.is_null() ? SourceLocation{file_, 0, 0} : SourceLocation{file_, mark.line + 1, mark.column + 1};
  }

  using Handlers = std::map<std::string, std::function<Status(const YAML::Node&)>>;

  Status Map(const YAML::Node& node, const std::string& what, const Handlers& handlers) {
    if (!node.IsMap()) return InvalidArgument(what + ": expected a map of keys and values").At(At(node));
    for (const auto& entry : node) {
      std::string key = entry.first.Scalar();
      auto it = handlers.find(key);
      if (it == handlers.end()) {
        std::vector<std::string> known;
        for (const auto& [name, handler] : handlers) known.push_back(name);
        return InvalidArgument(what + " has no key '" + key + "'")
            .At(At(entry.first))
            .Remedy(config::SuggestRemedy(key, known));
      }
      Status handled = it->second(entry.second);
      if (!handled.ok()) {
        if (handled.error().where()) return handled;
        return std::move(handled).error().Context(key).At(At(entry.second));
      }
    }
    return Ok();
  }

  static Status Text(const YAML::Node& node, std::string* out) {
    if (!node.IsScalar()) return InvalidArgument("expected a text");
    *out = node.Scalar();
    return Ok();
  }
  template <typename T>
  static Status Value(const YAML::Node& node, const char* expected, T* out) {
    if (!node.IsScalar() || !YAML::convert<T>::decode(node, *out))
      return InvalidArgument(std::string("expected ") + expected);
    return Ok();
  }

 private:
  std::string file_;
};

Status ReadMode(const std::string& text, EventTimeMode* mode) {
  if (text == "keep") *mode = EventTimeMode::kKeep;
  else if (text == "now") *mode = EventTimeMode::kNow;
  else if (text == "shifted") *mode = EventTimeMode::kShifted;
  else
    return Error(InvalidArgument("'" + text + "' is none"))
        .Remedy(config::SuggestRemedy(text, {"keep", "now", "shifted"}));
  return Ok();
}

Status ReadTimeText(const std::string& text, TimeText* out) {
  if (text == "iso8601") *out = TimeText::kIso8601;
  else if (text == "sql") *out = TimeText::kSql;
  else if (text == "epoch_ms") *out = TimeText::kEpochMs;
  else if (text == "epoch_s") *out = TimeText::kEpochSeconds;
  else
    return Error(InvalidArgument("'" + text + "' is none"))
        .Remedy(config::SuggestRemedy(text, {"iso8601", "sql", "epoch_ms", "epoch_s"}));
  return Ok();
}

Status ReadKind(const std::string& text, BreakKind* kind) {
  std::vector<std::string> names;
  for (BreakKind k : kAllKinds) {
    names.emplace_back(BreakKindName(k));
    if (text == names.back()) {
      *kind = k;
      return Ok();
    }
  }
  return Error(InvalidArgument("'" + text + "' is none")).Remedy(config::SuggestRemedy(text, names));
}

Status CheckRanges(const GeneratorSpec& spec) {
  if (!(spec.rate > 0) || spec.rate > 1e6)
    return InvalidArgument("rate: expected over 0 and at most 1000000 events a second");
  if (!(spec.break_fraction >= 0 && spec.break_fraction <= 1))
    return InvalidArgument("break.fraction: expected 0 to 1");
  return Ok();
}

}  // namespace

const char* BreakKindName(BreakKind kind) {
  switch (kind) {
    case BreakKind::kTruncate: return "truncate";
    case BreakKind::kWrongType: return "wrong_type";
    case BreakKind::kMissingField: return "missing_field";
    case BreakKind::kInvalidUtf8: return "invalid_utf8";
    case BreakKind::kNotJson: return "not_json";
  }
  return "?";
}

Result<GeneratorSpec> ParseGenerator(const std::string& file, const std::string& yaml,
                                     const std::map<std::string, std::string>& overrides) {
  YAML::Node root;
  try {
    root = YAML::Load(yaml);
  } catch (const YAML::Exception& e) { return InvalidArgument(e.msg).At(file, e.mark.line + 1, e.mark.column + 1); }
  GeneratorSpec spec;
  spec.where = {file, 1, 1};
  Reader reader(file);
  std::string time_field = "timestamp";
  bool has_break_kinds = false;
  TRY(reader.Map(
      root, "a generator",
      {{"name", [&](auto& n) { return Reader::Text(n, &spec.name); }},
       {"description",
        [&](auto& n) {
          std::string ignored;
          return Reader::Text(n, &ignored);
        }},
       {"topic", [&](auto& n) { return Reader::Text(n, &spec.topic); }},
       {"source",
        [&](auto& n) {
          return reader.Map(n, "source",
                            {{"path", [&](auto& v) { return Reader::Text(v, &spec.path); }},
                             {"format",
                              [&](auto& v) -> Status {
                                TRY(Reader::Text(v, &spec.format));
                                for (const char* known : {"csv", "tsv", "json", "log"})
                                  if (spec.format == known) return Ok();
                                return Error(InvalidArgument("'" + spec.format + "' is none"))
                                    .Remedy(config::SuggestRemedy(spec.format, {"csv", "tsv", "json", "log"}));
                              }},
                             {"sql", [&](auto& v) { return Reader::Text(v, &spec.sql); }}});
        }},
       {"key", [&](auto& n) { return Reader::Text(n, &spec.key); }},
       {"timestamps",
        [&](auto& n) -> Status {
          if (n.IsScalar()) return ReadMode(n.Scalar(), &spec.time_mode);
          return reader.Map(n, "timestamps",
                            {{"mode", [&](auto& v) { return ReadMode(v.Scalar(), &spec.time_mode); }},
                             {"field", [&](auto& v) { return Reader::Text(v, &time_field); }},
                             {"format", [&](auto& v) { return ReadTimeText(v.Scalar(), &spec.time_text); }}});
        }},
       {"rate", [&](auto& n) { return Reader::Value(n, "events a second", &spec.rate); }},
       {"loop", [&](auto& n) { return Reader::Value(n, "true or false", &spec.loop); }},
       {"limit", [&](auto& n) { return Reader::Value(n, "a count of events", &spec.limit); }},
       {"seed", [&](auto& n) { return Reader::Value(n, "a number", &spec.seed); }},
       {"break", [&](auto& n) {
          return reader.Map(
              n, "break",
              {{"fraction", [&](auto& v) { return Reader::Value(v, "a number from 0 to 1", &spec.break_fraction); }},
               {"kinds", [&](auto& v) -> Status {
                  if (!v.IsSequence()) return InvalidArgument("expected a list");
                  has_break_kinds = true;
                  for (const auto& item : v) {
                    BreakKind kind = BreakKind::kTruncate;
                    Status read = ReadKind(item.Scalar(), &kind);
                    if (!read.ok()) return std::move(read).error().At(reader.At(item));
                    spec.break_kinds.push_back(kind);
                  }
                  return Ok();
                }}});
        }}}));
  for (const auto& [name, value] : overrides) {
    YAML::Node node(value);
    Status set = Ok();
    if (name == "rate") set = Reader::Value(node, "events a second", &spec.rate);
    else if (name == "limit") set = Reader::Value(node, "a count of events", &spec.limit);
    else if (name == "seed") set = Reader::Value(node, "a number", &spec.seed);
    else if (name == "loop") set = Reader::Value(node, "true or false", &spec.loop);
    else if (name == "break.fraction") set = Reader::Value(node, "a number from 0 to 1", &spec.break_fraction);
    else if (name == "topic") spec.topic = value;
    else if (name == "path") spec.path = value;
    else
      return Error(InvalidArgument("a generator has no setting '" + name + "'"))
          .Remedy(config::SuggestRemedy(name, {"rate", "limit", "seed", "loop", "break.fraction", "topic", "path"}));
    if (!set.ok()) return std::move(set).error().Context(name);
  }
  auto missing = [&](const char* key) {
    return InvalidArgument(std::string("a generator needs the key '") + key + "'").At(spec.where);
  };
  if (spec.name.empty()) return missing("name");
  if (spec.topic.empty()) return missing("topic");
  if (spec.path.empty()) return missing("source.path");
  if (spec.format.empty()) {
    auto ends = [&](const char* end) { return spec.path.find(end) != std::string::npos; };
    spec.format = ends(".csv") ? "csv" : ends(".tsv") ? "tsv" : ends(".json") ? "json" : "log";
  }
  if (spec.time_mode != EventTimeMode::kKeep) spec.time_field = time_field;
  if (!has_break_kinds) spec.break_kinds.assign(std::begin(kAllKinds), std::end(kAllKinds));
  if (spec.break_kinds.empty()) spec.break_fraction = 0;
  Status ranges = CheckRanges(spec);
  if (!ranges.ok()) return std::move(ranges).error().At(spec.where);
  return spec;
}

}  // namespace tailrace::connectors
