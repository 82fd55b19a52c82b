#!/usr/bin/env python3
"""Facts about the tree that a reviewer should not have to look for. Prints what to do for each finding; exit status 1
where there is one. --graph prints the modules, their sizes and arrows instead. --fix formats."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
LINES_MAX = 800
HEAVY = {
    "regex": "0.8 s of every file that includes it: match by hand or move it into the .cc",
    "future": "use base/waker.h or a callback",
    "iostream": "use fmt and base/logging.h",
    "filesystem": "0.7 s of every file that includes it: use io/file.h, or include it in the .cc",
}
# Prefixes of third-party headers: allowed in .cc files only, behind a class of ours.
THIRD_PARTY = ("boost/", "duckdb", "simdjson", "spdlog/", "fmt/", "yaml-cpp/", "librdkafka/", "sqlite3", "nlohmann/", "CLI/",
               "prometheus/", "openssl/", "zstd", "lz4", "snappy", "zlib", "date/", "gtest/", "gmock/", "benchmark/")

findings = []


def finding(path, line, text):
    findings.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def tracked(*suffixes):
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / n for n in names.stdout.split("\n") if n.endswith(suffixes) and not n.startswith("tests/corpora/") and (ROOT / n).is_file()]


def declared_modules():
    """Module -> modules it may include, as src/*/CMakeLists.txt declare them, transitively closed."""
    direct = {}
    for file in sorted(SRC.glob("*/CMakeLists.txt")):
        text = re.sub(r"#.*", "", file.read_text())
        match = re.search(r"tailrace_module\(\s*(\w+)(.*?)\)", text, re.S)
        if not match:
            continue
        words = match.group(2).split()
        deps, on = [], False
        for word in words:
            if word == "DEPS":
                on = True
            elif word in ("LIBS", "SOURCES", "TEST_DEPS", "TEST_LIBS"):
                on = False
            elif on:
                deps.append(word)
        direct[match.group(1)] = deps
    closed = {}

    def close(module, path=()):
        if module in path:
            finding(SRC / module / "CMakeLists.txt", 1, f"modules depend on each other in a circle: {' -> '.join(path + (module,))}")
            return set()
        if module not in closed:
            closed[module] = set(direct.get(module, []))
            for dep in direct.get(module, []):
                closed[module] |= close(dep, path + (module,))
        return closed[module]

    for module in direct:
        close(module)
    return direct, closed


def check_includes(closed):
    used = {}
    for file in tracked(".h", ".cc"):
        if SRC not in file.parents:
            continue
        module = file.relative_to(SRC).parts[0]
        is_test = file.name.endswith("_test.cc")
        for number, line in enumerate(file.read_text().split("\n"), 1):
            match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            name = match.group(2)
            if file.suffix == ".h":
                if name in HEAVY:
                    finding(file, number, f"<{name}> in a header: {HEAVY[name]}")
                elif name.startswith(THIRD_PARTY):
                    finding(file, number, f"third-party header {name} in a header of ours: include it in the .cc, behind a forward-declared class")
            other = name.split("/")[0]
            if match.group(1) == '"' and other != module and (SRC / other).is_dir():
                used.setdefault(module, set()).add(other)
                if other not in closed.get(module, set()) and not is_test:
                    finding(file, number, f"{module} may not include {name}: the arrows of ARCHITECTURE.md go the other way. "
                            f"Move what is shared down, or pass an interface in from app/")
    return used


def check_arrows(direct, used):
    for module in direct:
        for name in direct[module]:
            if name not in used.get(module, set()):
                finding(SRC / module / "CMakeLists.txt", 1, f"{module} declares {name} but includes nothing of it: remove it from DEPS")


def check_sizes():
    for file in tracked(".h", ".cc", ".py", ".js", ".ts"):
        count = file.read_text(errors="replace").count("\n")
        if count > LINES_MAX:
            finding(file, LINES_MAX, f"{count} lines: more than one idea? Split it (limit {LINES_MAX})")


def check_words():
    for file in tracked(".h", ".cc", ".py", ".sh", ".md", ".sql", ".yaml", ".yml", ".js", ".ts", ".txt", ".msg"):
        if file.name == "check.py":
            continue
        for number, line in enumerate(file.read_text(errors="replace").split("\n"), 1):
            if re.search(r"\b(TODO|FIXME|HACK|XXX)\b", line):
                finding(file, number, "an unfinished mark: finish it, or write an issue and delete the mark")
            if re.search(r"https?://(?:[a-z0-9.-]*\.)?(?:pypi\.org|npmjs\.org|repo1?\.maven|proxy\.golang|crates\.io)", line):
                finding(file, number, "a registry's address: let the package client know it")
            if re.search(r"(?<![\w.])/(?:work|farm|root)/", line):
                finding(file, number, "a path of one machine: make it relative or a variable")


def check_registrations():
    for file in tracked(".cc"):
        if re.search(r"^static\s+(?:bool|int)\s+\w*[Rr]egister\w*\s*=", file.read_text(errors="replace"), re.M):
            finding(file, 1, "registration by static initialiser: add it to the explicit list of its kind")


def check_format(fix):
    tool = shutil.which("clang-format")
    if not tool:
        finding(ROOT / "dev", 1, "clang-format is not installed: ./dev setup")
        return
    files = [str(f) for f in tracked(".h", ".cc")]
    if fix:
        subprocess.run([tool, "-i", *files], check=True)
        return
    result = subprocess.run([tool, "--dry-run", *files], capture_output=True, text=True)
    bad = sorted({line.split(":")[0] for line in result.stderr.split("\n") if "[-Wclang-format-violations]" in line})
    for name in bad:
        finding(Path(name), 1, "not formatted: ./dev check --fix")


def check_shell():
    for file in tracked(".sh"):
        result = subprocess.run(["bash", "-n", str(file)], capture_output=True, text=True)
        if result.returncode:
            finding(file, 1, result.stderr.strip())


def graph(direct, used):
    def lines(module, tests):
        return sum(f.read_text(errors="replace").count("\n") for f in (SRC / module).rglob("*")
                   if f.suffix in (".h", ".cc", ".msg") and f.name.endswith("_test.cc") == tests)

    print(f"{'module':<11} {'lines':>6} {'tests':>6}  includes")
    for module in direct:
        names = direct[module] + sorted(used.get(module, set()) - set(direct[module]))
        print(f"{module:<11} {lines(module, False):>6} {lines(module, True):>6}  {' '.join(names)}")


def main():
    direct, closed = declared_modules()
    used = check_includes(closed)
    if "--graph" in sys.argv:
        graph(direct, used)
        return 0
    check_arrows(direct, used)
    check_sizes()
    check_words()
    check_registrations()
    check_shell()
    check_format("--fix" in sys.argv)
    for text in findings:
        print(text)
    print(f"check: {len(findings)} findings" if findings else "check: nothing found")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
