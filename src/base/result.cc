#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace tailrace {

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid argument";
    case ErrorCode::kNotFound: return "not found";
    case ErrorCode::kAlreadyExists: return "already exists";
    case ErrorCode::kLimitExceeded: return "limit exceeded";
    case ErrorCode::kCorrupt: return "corrupt";
    case ErrorCode::kIo: return "i/o error";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kTimeout: return "timeout";
    case ErrorCode::kConflict: return "conflict";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kPermissionDenied: return "permission denied";
    case ErrorCode::kCancelled: return "cancelled";
    case ErrorCode::kInternal: return "internal";
  }
  return "unknown";
}

std::string Error::ToString() const {
  std::string out;
  if (where_) {
    out += where_->file;
    if (where_->line > 0) out += ":" + std::to_string(where_->line);
    if (where_->column > 0) out += ":" + std::to_string(where_->column);
    out += ": ";
  }
  out += message_;
  if (!remedy_.empty()) out += "; " + remedy_;
  return out;
}

Error IoError(std::string_view what, int errno_value) {
  char text[128];
  Error error(ErrorCode::kIo, std::string(what) + ": " + strerror_r(errno_value, text, sizeof text));
  if (errno_value == ENOSPC) return std::move(error).Remedy("free some disk space and try again");
  if (errno_value == EACCES || errno_value == EPERM || errno_value == EROFS)
    return std::move(error).Remedy("check the owner and the mode of the directory");
  return error;
}

}  // namespace tailrace
