#pragma once

namespace tailrace {
/// Prints the broken invariant and aborts: state on disk is recovered at the next start, wrong state is not written.
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}  // namespace tailrace

/// An invariant of the program itself, never a check of input. Stays in release builds.
#define CHECK(condition) ((condition) ? (void)0 : ::tailrace::CheckFailed(#condition, __FILE__, __LINE__))
