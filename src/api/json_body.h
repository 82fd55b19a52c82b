#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/message.h"

namespace tailrace::api {

/// The JSON object in a request's body; an empty body is an empty object. Getters give kInvalidArgument where a field
/// is of another type.
class JsonBody {
 public:
  /// Refuses fields not in `allowed`, with the nearest one that is.
  static Result<JsonBody> Parse(const http::Request& request, const std::vector<std::string>& allowed);

  Result<std::optional<std::string>> Text(const std::string& field) const;
  Result<std::string> RequiredText(const std::string& field) const;
  Result<std::optional<bool>> Bool(const std::string& field) const;
  Result<std::optional<int64_t>> Int(const std::string& field) const;
  Result<std::optional<double>> Number(const std::string& field) const;
  /// An object, as compact JSON.
  Result<std::optional<std::string>> Object(const std::string& field) const;
  /// An object of texts (numbers and booleans as they are written).
  Result<std::map<std::string, std::string>> TextMap(const std::string& field) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace tailrace::api
