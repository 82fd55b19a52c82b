#!/usr/bin/env python3
"""Golden SQL tests: every NAME.sql beside this file is run with `tailrace stream run` and must print NAME.out.

Lines starting with "-- expect-error: TEXT" in the .sql say that the run must fail and what its message must contain.
"-- unordered" compares the lines as a set. "-- bad: TEXT" says what the bad record's reasons must contain, in order.

  tests/sql/run.py [--update] [NAME...]
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAM = Path(os.environ.get("TAILRACE", HERE.parents[1] / "build" / "tailrace"))


def cases():
    return sorted(path.stem for path in HERE.glob("*.sql"))


def directives(text, name):
    start = f"-- {name}"
    return [line[len(start):].lstrip(": ").strip() for line in text.splitlines() if line.startswith(start)]


def run(name, update=False):
    """None where it is as expected, else what differs."""
    sql = HERE / f"{name}.sql"
    text = sql.read_text()
    with tempfile.TemporaryDirectory(prefix="tailrace-sql-") as data:
        env = dict(os.environ, OUT=data)  # ${OUT} in a file: a directory of its own
        command = [str(PROGRAM), "stream", "run", str(sql), "--data-dir", f"{data}/data"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, cwd=HERE)
        bad = []
        for path in sorted(Path(data).glob("data/errors/*.jsonl")):
            bad += [json.loads(line)["reason"] for line in path.read_text().splitlines()]
        printed = done.stdout
        for written in directives(text, "print"):  # files a sink wrote
            for path in sorted(Path(data).glob(written)):
                printed += path.read_text()
    errors = directives(text, "expect-error")
    if errors:
        if done.returncode == 0:
            return f"{name}: ended with status 0, an error was expected"
        missing = [e for e in errors if e not in done.stderr]
        return f"{name}: the message lacks {missing}:\n{done.stderr}" if missing else None
    if done.returncode != 0:
        return f"{name}: status {done.returncode}\n{done.stderr}"
    expected_bad = directives(text, "bad")
    if len(bad) != len(expected_bad) or any(e not in b for e, b in zip(expected_bad, bad)):
        return f"{name}: bad records\n  expected {expected_bad}\n  got      {bad}"
    golden = HERE / f"{name}.out"
    if update:
        golden.write_text(printed)
        return None
    expected = golden.read_text().splitlines() if golden.exists() else []
    got = printed.splitlines()
    if directives(text, "unordered"):
        expected.sort(), got.sort()
    if expected != got:
        return f"{name}: expected\n  " + "\n  ".join(expected) + "\ngot\n  " + "\n  ".join(got)
    return None


def main():
    update = "--update" in sys.argv
    names = [a for a in sys.argv[1:] if not a.startswith("-")] or cases()
    failures = [f for f in (run(n, update) for n in names) if f]
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(names) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
