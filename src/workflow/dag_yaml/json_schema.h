#pragma once

#include <string>

namespace tailrace::workflow {

/// A JSON Schema (2020-12) of dags/*.yaml, made from the tables that the loader and the operators use, for completion
/// and checks in editors.
std::string DagJsonSchema();

/// The reference of keys, operators and callbacks as Markdown: docs/orchestration-reference.md is its output.
std::string DagReferenceMarkdown();

}  // namespace tailrace::workflow
