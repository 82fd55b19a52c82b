# shellcheck shell=bash
# build [--preset P] [TARGET...]: one build at a time in each build directory. Sourced by ./dev.

# A first build is a unity build (half the time). Later ones are what build/ was made for.
first_build() {
  if [ -f build/build.ninja ]; then build "$@"; else build --preset unity "$@"; fi
}

build() {
  local preset=release dir
  if [ "${1:-}" = --preset ]; then preset=${2:?a preset}; shift 2; fi
  case $preset in release|unity) dir=build ;; *) dir=build-$preset ;; esac
  mkdir -p "$dir"
  (
    flock 9
    if [ ! -f "$dir/build.ninja" ]; then
      cmake --preset "$preset" >"$dir/configure.log" 2>&1 || { tail -n 20 "$dir/configure.log" >&2; exit 1; }
    fi
    if [ -t 1 ]; then NINJA_STATUS='[%f/%t %es] ' ninja -C "$dir" "$@"; else ninja -C "$dir" --quiet "$@" | sed '/^ninja: no work to do\.$/d'; fi
  ) 9>"$dir/.lock"
}
