"""What the benchmark rows share: processes and their CPU time, peers by scripts/engines, medians and ratios."""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from support import PROGRAM, Platform, wait_for  # noqa: E402,F401

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(x) for x in fields[11:15]) / TICKS


def pss_mb(pid):
    return sum(int(m) for m in re.findall(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)) / 1024


class Engine:
    """A real engine by scripts/engines/NAME.sh, with data of its own that goes when it ends."""

    def __init__(self, name, *start_args, **env):
        self.name, self.start_args = name, start_args
        self.data = tempfile.mkdtemp(prefix=f"bench-{name}-")
        os.chmod(self.data, 0o755)
        self.env = dict(os.environ, ENGINES_DATA=self.data, **env)
        self.script = str(ROOT / "scripts" / "engines" / f"{name}.sh")

    def call(self, *args, capture=True):
        done = subprocess.run([self.script, *args], env=self.env, text=True, stdout=subprocess.PIPE if capture else None, stderr=subprocess.PIPE)
        if done.returncode not in (0,):
            raise SystemExit(f"{self.name}.sh {' '.join(args)}: {done.stderr[-2000:]}")
        return done.stdout

    def __enter__(self):
        say(f"starting {self.name} (installed at the first use)")
        started = time.monotonic()
        self.call("start", *self.start_args)
        self.start_seconds = time.monotonic() - started
        self.vars = dict(re.findall(r"(\w+)='?([^'\s]+)'?", self.call("env")))
        return self

    def __exit__(self, *_):
        self.call("stop")
        shutil.rmtree(self.data, ignore_errors=True)

    def pids(self):
        """All processes: the recorded ones and what they started."""
        roots = {int(f.read_text().split()[0]) for f in Path(self.data, self.name, "run").glob("*.pid")}
        table = [tuple(map(int, l.split())) for l in subprocess.run(["ps", "-e", "-o", "pid=,ppid=,sid="], capture_output=True, text=True).stdout.splitlines()]
        found = {p for p, _, s in table if p in roots or s in roots}
        while True:
            more = {p for p, parent, _ in table if parent in found} - found
            if not more:
                return found
            found |= more

    def cpu(self):
        total = 0.0
        for pid in self.pids():
            try:
                total += cpu_seconds(pid)
            except FileNotFoundError:
                pass
        return total

    def memory_mb(self):
        return sum(pss_mb(p) for p in self.pids())


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def machine():
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} x {model.group(1) if model else 'cpu'}, load {os.getloadavg()[0]:.1f}"


def row(what, ours, theirs, unit, better="more"):
    """One line of the table: medians and their ratio. ours, theirs: lists of figures."""
    a, b = statistics.median(ours), statistics.median(theirs)
    ratio = (a / b if better == "more" else b / a) if a and b else float("nan")
    line = {"row": what, "unit": unit, "tailrace": round(a, 4), "peer": round(b, 4), "ratio": round(ratio, 2),
            "tailrace_runs": [round(x, 4) for x in ours], "peer_runs": [round(x, 4) for x in theirs], "machine": machine()}
    print(f"{what:<44} tailrace {a:>14,.2f}  peer {b:>14,.2f}  {unit:<28} ratio {ratio:6.2f}", flush=True)
    out = ROOT / "build" / "bench.jsonl"
    out.parent.mkdir(exist_ok=True)
    with open(out, "a") as f:
        f.write(json.dumps(line) + "\n")
