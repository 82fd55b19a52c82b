#pragma once
// Expected failures are values: Result<T> holds a T or an Error. Exceptions stay inside the module whose library throws
// them; a broken invariant stops the process (see check.h).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace tailrace {

enum class ErrorCode : uint8_t {
  kInvalidArgument,  // the caller's input is wrong; the same call will fail again
  kNotFound,
  kAlreadyExists,
  kLimitExceeded,  // a size, count, depth or rate limit
  kCorrupt,        // bytes that do not decode, a checksum that does not match
  kIo,             // the operating system refused: disk full, no permission, broken pipe
  kUnavailable,    // a peer is away; retry later
  kTimeout,
  kConflict,     // lost a race or a lock: another owner, a fenced epoch, a wrong state
  kUnsupported,  // valid, but not built here
  kPermissionDenied,
  kCancelled,
  kInternal,
};
std::string_view ErrorCodeName(ErrorCode code);

/// Place in a file the user wrote. line and column count from 1; 0 = not known.
struct SourceLocation {
  std::string file;
  int line = 0;
  int column = 0;
};

/// What went wrong, where, and what to do about it. Cheap to move; made only on the failure path.
class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  /// Adds the place in the user's file at fault.
  Error At(SourceLocation where) && {
    where_ = std::move(where);
    return std::move(*this);
  }
  Error At(std::string file, int line, int column) && {
    return std::move(*this).At(SourceLocation{std::move(file), line, column});
  }
  /// Adds what the user can do: an imperative sentence without the final dot.
  Error Remedy(std::string remedy) && {
    remedy_ = std::move(remedy);
    return std::move(*this);
  }
  /// Puts "context: " before the message.
  Error Context(std::string_view context) && {
    message_ = std::string(context) + ": " + message_;
    return std::move(*this);
  }

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& remedy() const { return remedy_; }
  const std::optional<SourceLocation>& where() const { return where_; }
  /// True where the same call may succeed later without any change by the caller.
  bool retriable() const { return code_ == ErrorCode::kUnavailable || code_ == ErrorCode::kTimeout; }

  /// "file:line:column: message; remedy".
  std::string ToString() const;

 private:
  ErrorCode code_;
  std::string message_;
  std::string remedy_;
  std::optional<SourceLocation> where_;
};

inline Error InvalidArgument(std::string m) { return {ErrorCode::kInvalidArgument, std::move(m)}; }
inline Error NotFound(std::string m) { return {ErrorCode::kNotFound, std::move(m)}; }
inline Error Corrupt(std::string m) { return {ErrorCode::kCorrupt, std::move(m)}; }
inline Error Unsupported(std::string m) { return {ErrorCode::kUnsupported, std::move(m)}; }
inline Error Internal(std::string m) { return {ErrorCode::kInternal, std::move(m)}; }
/// An errno turned into a kIo error: "what: No space left on device".
Error IoError(std::string_view what, int errno_value);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : v_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool ok() const { return v_.index() == 0; }
  explicit operator bool() const { return ok(); }
  // REQUIRES: ok().
  T& value() & { return std::get<0>(v_); }
  const T& value() const& { return std::get<0>(v_); }
  T&& value() && { return std::get<0>(std::move(v_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  // REQUIRES: !ok().
  const Error& error() const& { return std::get<1>(v_); }
  Error&& error() && { return std::get<1>(std::move(v_)); }

 private:
  std::variant<T, Error> v_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : e_(std::move(error)) {}  // NOLINT: implicit by design
  bool ok() const { return !e_.has_value(); }
  explicit operator bool() const { return ok(); }
  void value() const {}
  const Error& error() const& { return *e_; }
  Error&& error() && { return *std::move(e_); }

 private:
  std::optional<Error> e_;
};

using Status = Result<void>;
inline Status Ok() { return {}; }

}  // namespace tailrace

/// Unwraps a Result or returns its error from the enclosing function: `auto n = TRY(Parse(text));`.
#define TRY(expression)                                           \
  ({                                                              \
    auto try_result_ = (expression);                              \
    if (!try_result_.ok()) return std::move(try_result_).error(); \
    std::move(try_result_).value();                               \
  })
