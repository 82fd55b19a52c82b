#pragma once

#include <string>

#include "base/result.h"

namespace tailrace::app {

/// The running platform's REST interface. Errors come back as they left: code, message, remedy, place.
class Rest {
 public:
  explicit Rest(std::string url) : url_(std::move(url)) {}
  Result<std::string> Get(const std::string& path, int64_t timeout_ms = 30'000) const {
    return Call("GET", path, "", timeout_ms);
  }
  Result<std::string> Post(const std::string& path, const std::string& body, int64_t timeout_ms = 60'000) const {
    return Call("POST", path, body, timeout_ms);
  }
  Result<std::string> Delete(const std::string& path) const { return Call("DELETE", path, "", 30'000); }
  const std::string& url() const { return url_; }

 private:
  Result<std::string> Call(const std::string& method, const std::string& path, const std::string& body,
                           int64_t timeout_ms) const;
  std::string url_;
};

/// For one segment of a path.
std::string PathPart(const std::string& text);

}  // namespace tailrace::app
