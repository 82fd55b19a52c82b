#!/usr/bin/env bash
# Runs the rows of the benchmark table: bench/rows/NAME.py or .sh. Called by ./dev bench.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rows() { find bench/rows -maxdepth 1 -type f \( -name '*.py' -o -name '*.sh' \) -printf '%f\n' | sort; }
if [ "${1:-}" = --list ]; then
  for f in $(rows); do printf '%-22s %s\n' "${f%.*}" "$(sed -n '1{s/^[#"]* *//;s/"*$//;p}' "bench/rows/$f")"; done
  exit
fi
. scripts/dev/setup.sh
setup test
want=("$@")
[ ${#want[@]} -gt 0 ] || mapfile -t want < <(rows | sed 's/\.[^.]*$//')
for w in "${want[@]}"; do
  if [ -f "bench/rows/$w.py" ]; then .deps/venv/bin/python "bench/rows/$w.py"
  elif [ -f "bench/rows/$w.sh" ]; then bash "bench/rows/$w.sh"
  else echo "no row '$w'; ./dev bench --list" >&2; exit 2; fi
done
