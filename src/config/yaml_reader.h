#pragma once
// Reading YAML with a place in every complaint. Internal to config/.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"

namespace YAML {
class Node;
}

namespace tailrace::config {

/// Collects problems instead of stopping at the first, so that one run of `validate` shows them all.
class YamlReader {
 public:
  YamlReader(std::string file, std::vector<Error>* problems) : file_(std::move(file)), problems_(problems) {}

  SourceLocation At(const YAML::Node& node) const;
  void Complain(const YAML::Node& node, const std::string& message, const std::string& remedy = "");

  /// One handler a key; complains about unknown keys (with the nearest known one), duplicates and a node that is no
  /// map.
  using Fields = std::map<std::string, std::function<void(const YAML::Node& key, const YAML::Node& value)>>;
  void Map(const YAML::Node& node, const std::string& what, const Fields& fields);
  /// Any keys: calls `each` with name, key node, value node.
  void Entries(const YAML::Node& node, const std::string& what,
               const std::function<void(const std::string&, const YAML::Node&, const YAML::Node&)>& each);
  /// A list of maps with `name`, or a map of name to map: calls `each` with the name, its node, and the rest.
  void Named(const YAML::Node& node, const std::string& what,
             const std::function<void(const std::string&, const YAML::Node&, const YAML::Node&)>& each);

  // Each returns false after complaining.
  bool Text(const YAML::Node& node, const std::string& what, std::string* out);
  bool Int(const YAML::Node& node, const std::string& what, int64_t least, int64_t most, int64_t* out);
  bool Duration(const YAML::Node& node, const std::string& what, int64_t* ms);
  bool TextList(const YAML::Node& node, const std::string& what, std::vector<std::string>* out);

 private:
  std::string file_;
  std::vector<Error>* problems_;
};

/// Compact JSON of a node: plain scalars that read as numbers, true, false or null become those.
std::string YamlToJson(const YAML::Node& node);

}  // namespace tailrace::config
