#include "config/yaml_reader.h"

#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cstdio>

#include "base/clock.h"
#include "config/suggest.h"

namespace tailrace::config {
namespace {

const char* Kind(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Undefined: return "nothing";
    case YAML::NodeType::Null: return "nothing";
    case YAML::NodeType::Scalar: return "a plain value";
    case YAML::NodeType::Sequence: return "a list";
    case YAML::NodeType::Map: return "a map";
  }
  return "";
}

std::string Quote(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\', out += c;
    else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
      out += escaped;
    } else out += c;
  }
  return out + '"';
}

bool IsJsonNumber(const std::string& s) {
  double ignored;
  auto [end, failed] = std::from_chars(s.data(), s.data() + s.size(), ignored);
  if (failed != std::errc() || end != s.data() + s.size()) return false;
  // from_chars takes inf, nan and leading zeros; JSON does not.
  const size_t digit = s[0] == '-' ? 1 : 0;
  return digit < s.size() && s[digit] >= '0' && s[digit] <= '9' && s.back() != '.' &&
         !(s[digit] == '0' && digit + 1 < s.size() && s[digit + 1] >= '0' && s[digit + 1] <= '9');
}

}  // namespace

SourceLocation YamlReader::At(const YAML::Node& node) const {
  const YAML::Mark mark = node.Mark();
  return mark.is_null() ? SourceLocation{file_, 0, 0} : SourceLocation{file_, mark.line + 1, mark.column + 1};
}

void YamlReader::Complain(const YAML::Node& node, const std::string& message, const std::string& remedy) {
  if (problems_->size() >= 100) return;
  problems_->push_back(InvalidArgument(message).Remedy(remedy).At(At(node)));
}

void YamlReader::Entries(const YAML::Node& node, const std::string& what,
                         const std::function<void(const std::string&, const YAML::Node&, const YAML::Node&)>& each) {
  if (!node.IsDefined() || node.IsNull()) return;
  if (!node.IsMap())
    return Complain(node, what + " is " + Kind(node) + ", expected a map of names to values",
                    "write it as 'name: value' lines");
  std::set<std::string> seen;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) {
      Complain(entry.first, "a key in " + what + " is " + Kind(entry.first), "use a plain name");
      continue;
    }
    const std::string& key = entry.first.Scalar();
    if (!seen.insert(key).second) {
      Complain(entry.first, "'" + key + "' is in " + what + " twice", "remove one");
      continue;
    }
    each(key, entry.first, entry.second);
  }
}

void YamlReader::Map(const YAML::Node& node, const std::string& what, const Fields& fields) {
  Entries(node, what, [&](const std::string& name, const YAML::Node& key, const YAML::Node& value) {
    auto field = fields.find(name);
    if (field == fields.end()) {
      std::vector<std::string> known;
      for (const auto& [k, ignored] : fields) known.push_back(k);
      return Complain(key, "unknown key '" + name + "' in " + what, SuggestRemedy(name, known));
    }
    field->second(key, value);
  });
}

void YamlReader::Named(const YAML::Node& node, const std::string& what,
                       const std::function<void(const std::string&, const YAML::Node&, const YAML::Node&)>& each) {
  if (!node.IsDefined() || node.IsNull()) return;
  std::set<std::string> seen;
  if (node.IsSequence()) {
    for (const YAML::Node& item : node) {
      if (item.IsScalar()) {
        if (!seen.insert(item.Scalar()).second)
          Complain(item, "'" + item.Scalar() + "' is in " + what + " twice", "remove one");
        else each(item.Scalar(), item, YAML::Node());
        continue;
      }
      if (!item.IsMap() || !item["name"] || !item["name"].IsScalar()) {
        Complain(item, "an item of " + what + " has no name", "add 'name: …'");
        continue;
      }
      const YAML::Node name = item["name"];
      if (!seen.insert(name.Scalar()).second)
        Complain(name, "'" + name.Scalar() + "' is in " + what + " twice", "remove one");
      else each(name.Scalar(), name, item);
    }
    return;
  }
  Entries(node, what, each);
}

bool YamlReader::Text(const YAML::Node& node, const std::string& what, std::string* out) {
  if (!node.IsScalar()) {
    Complain(node, what + " is " + Kind(node) + ", expected text", "write one value");
    return false;
  }
  *out = node.Scalar();
  return true;
}

bool YamlReader::Int(const YAML::Node& node, const std::string& what, int64_t least, int64_t most, int64_t* out) {
  const std::string remedy = "use a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  if (!node.IsScalar()) {
    Complain(node, what + " is " + Kind(node) + ", expected a number", remedy);
    return false;
  }
  const std::string& text = node.Scalar();
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), *out);
  if (failed != std::errc() || end != text.data() + text.size() || *out < least || *out > most) {
    Complain(node, "'" + text + "' is not possible for " + what, remedy);
    return false;
  }
  return true;
}

bool YamlReader::Duration(const YAML::Node& node, const std::string& what, int64_t* ms) {
  if (node.IsScalar() && ParseDurationMs(node.Scalar(), ms) && *ms >= 0) return true;
  Complain(node, node.IsScalar() ? "'" + node.Scalar() + "' is not a duration for " + what : what + " is " + Kind(node),
           "use a duration such as 500ms, 30s, 5m");
  return false;
}

bool YamlReader::TextList(const YAML::Node& node, const std::string& what, std::vector<std::string>* out) {
  if (!node.IsDefined() || node.IsNull()) return true;
  if (node.IsScalar()) {
    out->push_back(node.Scalar());
    return true;
  }
  if (!node.IsSequence()) {
    Complain(node, what + " is " + Kind(node) + ", expected a list", "write it as [a, b]");
    return false;
  }
  for (const YAML::Node& item : node) {
    std::string text;
    if (!Text(item, "an item of " + what, &text)) return false;
    out->push_back(std::move(text));
  }
  return true;
}

std::string YamlToJson(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null: return "null";
    case YAML::NodeType::Scalar: {
      const std::string& s = node.Scalar();
      if (node.Tag() == "!") return Quote(s);  // was quoted in the file
      if (s == "true" || s == "false" || s == "null" || IsJsonNumber(s)) return s;
      return Quote(s);
    }
    case YAML::NodeType::Sequence: {
      std::string out = "[";
      for (const YAML::Node& item : node) out += (out.size() > 1 ? "," : "") + YamlToJson(item);
      return out + "]";
    }
    case YAML::NodeType::Map: {
      std::string out = "{";
      for (const auto& entry : node)
        out += (out.size() > 1 ? "," : "") + Quote(entry.first.IsScalar() ? entry.first.Scalar() : "") + ":" +
               YamlToJson(entry.second);
      return out + "}";
    }
  }
  return "null";
}

}  // namespace tailrace::config
