#!/usr/bin/env bash
# Writes the files that are generated from tables in the code and kept in the tree. Called by ./dev gen.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/dev/setup.sh
. scripts/dev/build.sh
build workflow_test connectors_test
(cd build && TAILRACE_WRITE_GENERATED=1 ./workflow_test --gtest_filter='*GeneratedFiles*' && TAILRACE_WRITE_DOCS=1 ./connectors_test --gtest_filter='*Registry*') >/dev/null
git status --short schemas docs
