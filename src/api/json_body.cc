#include "api/json_body.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "config/suggest.h"

namespace tailrace::api {

using Json = nlohmann::json;

struct JsonBody::Impl {
  Json json;
};

namespace {
constexpr int kDepthMax = 64;

Error WrongType(const std::string& field, const char* expected, const Json& found) {
  return InvalidArgument("the field '" + field + "' of the body is " + found.type_name() + ", expected " + expected);
}
/// Depth before the parse: nlohmann's parser keeps its stack on the heap, but destroying a deep value recurses.
bool TooDeep(const std::string& text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
    } else if (c == '"') in_string = true;
    else if (c == '{' || c == '[') {
      if (++depth > kDepthMax) return true;
    } else if (c == '}' || c == ']') --depth;
  }
  return false;
}
}  // namespace

Result<JsonBody> JsonBody::Parse(const http::Request& request, const std::vector<std::string>& allowed) {
  auto impl = std::make_shared<Impl>();
  impl->json = Json::object();
  if (request.body.find_first_not_of(" \r\n\t") != std::string::npos) {
    if (TooDeep(request.body)) return Error(ErrorCode::kLimitExceeded, "the body is nested deeper than 64 levels");
    try {
      impl->json = Json::parse(request.body);
    } catch (const Json::exception& e) { return InvalidArgument(std::string("the body is not JSON: ") + e.what()); }
    if (!impl->json.is_object())
      return InvalidArgument(std::string("the body is ") + impl->json.type_name() + ", expected an object");
    for (const auto& [key, value] : impl->json.items())
      if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
        return InvalidArgument("unknown field '" + key + "' in the body").Remedy(config::SuggestRemedy(key, allowed));
  }
  JsonBody body;
  body.impl_ = std::move(impl);
  return body;
}

Result<std::optional<std::string>> JsonBody::Text(const std::string& field) const {
  auto it = impl_->json.find(field);
  if (it == impl_->json.end() || it->is_null()) return std::optional<std::string>();
  if (!it->is_string()) return WrongType(field, "a string", *it);
  return std::optional<std::string>(it->get<std::string>());
}
Result<std::string> JsonBody::RequiredText(const std::string& field) const {
  auto text = TRY(Text(field));
  if (!text) return InvalidArgument("the body has no field '" + field + "'");
  return std::move(*text);
}
Result<std::optional<bool>> JsonBody::Bool(const std::string& field) const {
  auto it = impl_->json.find(field);
  if (it == impl_->json.end() || it->is_null()) return std::optional<bool>();
  if (!it->is_boolean()) return WrongType(field, "true or false", *it);
  return std::optional<bool>(it->get<bool>());
}
Result<std::optional<int64_t>> JsonBody::Int(const std::string& field) const {
  auto it = impl_->json.find(field);
  if (it == impl_->json.end() || it->is_null()) return std::optional<int64_t>();
  if (!it->is_number_integer()) return WrongType(field, "a whole number", *it);
  return std::optional<int64_t>(it->get<int64_t>());
}
Result<std::optional<double>> JsonBody::Number(const std::string& field) const {
  auto it = impl_->json.find(field);
  if (it == impl_->json.end() || it->is_null()) return std::optional<double>();
  if (!it->is_number()) return WrongType(field, "a number", *it);
  return std::optional<double>(it->get<double>());
}
Result<std::optional<std::string>> JsonBody::Object(const std::string& field) const {
  auto it = impl_->json.find(field);
  if (it == impl_->json.end() || it->is_null()) return std::optional<std::string>();
  if (!it->is_object()) return WrongType(field, "an object", *it);
  return std::optional<std::string>(it->dump());
}
Result<std::map<std::string, std::string>> JsonBody::TextMap(const std::string& field) const {
  std::map<std::string, std::string> out;
  auto it = impl_->json.find(field);
  if (it == impl_->json.end() || it->is_null()) return out;
  if (!it->is_object()) return WrongType(field, "an object", *it);
  for (const auto& [key, value] : it->items()) {
    if (value.is_structured()) return WrongType(field + "." + key, "a string", value);
    out[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return out;
}

}  // namespace tailrace::api
