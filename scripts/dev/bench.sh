#!/usr/bin/env bash
# Runs the rows of the benchmark table: bench/rows/NAME.py. Called by ./dev bench.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rows() { find bench/rows -maxdepth 1 -name '*.py' -printf '%f\n' | sort; }
if [ "${1:-}" = --list ]; then
  for f in $(rows); do printf '%-22s %s\n' "${f%.*}" "$(sed -n '1{s/^[#"]* *//;s/"*$//;p}' "bench/rows/$f")"; done
  exit
fi
. scripts/dev/setup.sh
setup test
want=("$@")
[ ${#want[@]} -gt 0 ] || mapfile -t want < <(rows | sed 's/\.[^.]*$//')
while [ ${#want[@]} -gt 0 ]; do
  row=${want[0]} given=()
  want=("${want[@]:1}")
  [ -f "bench/rows/$row.py" ] || { echo "no row '$row'; ./dev bench --list" >&2; exit 2; }
  # What follows a row and names none is the row's own: ./dev bench broker --quick stream 1000000
  while [ ${#want[@]} -gt 0 ] && [ ! -f "bench/rows/${want[0]}.py" ]; do given+=("${want[0]}"); want=("${want[@]:1}"); done
  .deps/venv/bin/python "bench/rows/$row.py" ${given[@]+"${given[@]}"}
done
