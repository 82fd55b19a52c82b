#!/usr/bin/env bash
# Runs test suites and adds up what they say. Called by ./dev test.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PATH=$PATH:$PWD/.deps/venv/bin
. scripts/dev/setup.sh
. scripts/dev/build.sh

ALL=(unit asan sql kafka workflow cli faults examples engines)
ASAN=(base_test io_test data_test wire_test log_test http_test broker_test sql_test stream_test connectors_test
      config_test observe_test api_test workflow_test)
suites=("$@")
[ ${#suites[@]} -eq 0 ] && suites=("${ALL[@]}")
for s in "${suites[@]}"; do
  [[ " ${ALL[*]} " == *" $s "* ]] || { echo "./dev test: no suite '$s' (has: ${ALL[*]})" >&2; exit 2; }
done

passed=0 failed=0
out=build/test-output
mkdir -p "$out"

# count LOG STATUS NAME: adds the numbers of GoogleTest's or pytest's closing lines.
number() { grep -oE "$1" | tail -n 1 | grep -oE '[0-9]+' | tail -n 1; }
count() {
  local log=$1 status=$2 name=$3 p f e
  if grep -qa '^\[==========\]' "$log"; then
    p=$(grep -a '^\[  PASSED  \]' "$log" | number '[0-9]+ test')
    f=$(grep -aE '^ *[0-9]+ FAILED TEST' "$log" | number '[0-9]+ FAILED')
  else
    p=$(grep -aE ' in [0-9.]+s' "$log" | number '[0-9]+ passed')
    f=$(grep -aE ' in [0-9.]+s' "$log" | number '[0-9]+ failed')
    e=$(grep -aE ' in [0-9.]+s' "$log" | number '[0-9]+ error')
  fi
  p=${p:-0} f=$((${f:-0} + ${e:-0}))
  # A crash, or a program that ran nothing, is a failure too.
  if [ "$status" != 0 ] && [ "$f" = 0 ]; then f=1; fi
  if [ "$status" = 0 ] && [ "$p" = 0 ]; then f=1; echo "$name: no test ran"; fi
  passed=$((passed + p)); failed=$((failed + f))
  printf '%-22s %4d passed  %3d failed\n' "$name" "$p" "$f"
  # What did not run is said aloud, never counted as passed.
  grep -aE '^\[  SKIPPED \] [A-Za-z].*[a-zA-Z0-9]$|, [0-9]+ skipped' "$log" | sort -u | sed 's/^/  not run: /' | head -n 12
  if [ "$f" != 0 ]; then grep -E '\[  FAILED  \]|^FAILED|^ERROR|error:|Failure$|SUMMARY|^E  ' "$log" | head -n 40; fi
}

gtests() { # gtests DIR
  local t name
  for t in "$1"/*_test; do
    [ -x "$t" ] || continue
    name=$(basename "$t")
    # From the build directory: there the compiler cache's relative __FILE__ leads to the sources.
    (cd "$1" && timeout 600 "./$name") >"$out/$(basename "$1")-$name.log" 2>&1
    count "$out/$(basename "$1")-$name.log" $? "$(basename "$1")/$name"
  done
}
py() { # py NAME PATHS...
  local name=$1; shift
  timeout 1800 .deps/venv/bin/python -m pytest -q --maxfail=20 -p no:cacheprovider "$@" >"$out/$name.log" 2>&1
  count "$out/$name.log" $? "$name"
  grep -a 'NOT RUN:' "$out/$name.log"  # what a missing peer kept from running is said aloud
  return 0
}

for s in "${suites[@]}"; do
  case $s in
    unit) build all || { failed=$((failed + 1)); echo "the build failed"; break; }
          gtests build ;;
    asan) # under AddressSanitizer and UndefinedBehaviorSanitizer: what parses bytes from outside or keeps them on disk
          build --preset asan "${ASAN[@]}" || { failed=$((failed + 1)); echo "the asan build failed"; continue; }
          export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1
          gtests build-asan
          unset ASAN_OPTIONS UBSAN_OPTIONS ;;
    *)    build tailrace || { failed=$((failed + 1)); echo "the build failed"; break; }
          py "$s" "tests/$s" ;;
  esac
done
echo "logs: $out/"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
