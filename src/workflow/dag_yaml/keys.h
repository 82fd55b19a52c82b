#pragma once
// Every key of a DAG file, once: the loader checks against these tables, the JSON Schema is generated from them.

#include <string>
#include <string_view>
#include <vector>

namespace tailrace::workflow {

enum class KeyType {
  kText,
  kInteger,
  kBoolean,
  kDuration,
  kDate,
  kNumberOrBoolean,
  kTextList,
  kMap,
  kCallbacks,
  kTasks,
  kPools,
  kScheduleText
};

struct KeySpec {
  const char* name;
  KeyType type;
  const char* help;
};

/// Of the file itself.
const std::vector<KeySpec>& DagKeys();
/// Of a task alone.
const std::vector<KeySpec>& TaskKeys();
/// Of default_args, and of a task, where they win.
const std::vector<KeySpec>& DefaultArgKeys();

struct CallbackKind {
  const char* name;
  std::vector<std::string_view> keys;
  const char* short_key;  // what a plain string stands for
};
const std::vector<CallbackKind>& CallbackKinds();

std::vector<std::string_view> NamesOf(const std::vector<KeySpec>& keys);

}  // namespace tailrace::workflow
