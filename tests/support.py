"""Starts and stops tailrace for black-box tests. Every platform gets free ports and a directory of its own."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(os.environ.get("TAILRACE", ROOT / "build" / "tailrace"))


class Platform:
    """`tailrace up` on free ports. Use as a context manager; `data_dir` survives kill() and start()."""

    def __init__(self, directory, project=None, args=()):
        self.dir = Path(directory)
        self.data_dir = self.dir / "data"
        self.project = project
        self.args = list(args)
        self.process = None
        self.kafka_port = self.http_port = 0
        self.log_path = self.dir / "up.log"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, timeout=30):
        command = [PROGRAM, "up", *([str(self.project)] if self.project else []), "--data-dir", self.data_dir,
                   "--port-kafka", self.kafka_port, "--port-http", self.http_port, "--port-registry", 0, "-o", "json", *self.args]
        started = time.monotonic()
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=self.log, cwd=self.project or self.dir)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"tailrace up ended with {self.process.wait()}: {self.log_path.read_text()[-3000:]}")
        self.ready = json.loads(line)
        self.ready_seconds = time.monotonic() - started
        self.kafka = self.ready["kafka"]
        self.http = self.ready["http"]
        # A restart comes back on the same ports, so that clients find it again.
        self.kafka_port = int(self.kafka.rsplit(":", 1)[1])
        if self.http:  # not with --broker-only
            self.http_port = int(self.http.rsplit(":", 1)[1].strip("/"))
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        """SIGTERM; returns (exit status, seconds)."""
        if self.process is None or self.process.poll() is not None:
            return (self.process.returncode if self.process else None), 0.0
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("no end within 20 s of SIGTERM")
        self.process.stdout.close()
        return status, time.monotonic() - started

    def run(self, *args, check=True, timeout=120):
        """One CLI command against this platform: the finished process, text output."""
        env = dict(os.environ, TAILRACE_URL=self.http, TAILRACE_KAFKA=self.kafka)
        done = subprocess.run([str(PROGRAM), *map(str, args)], env=env, capture_output=True, text=True, timeout=timeout,
                              cwd=self.project or self.dir)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, args))} -> {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def json(self, *args, **kwargs):
        return json.loads(self.run(*args, "-o", "json", **kwargs).stdout)

    def get(self, path, timeout=30):
        with urllib.request.urlopen(self.http.rstrip("/") + path, timeout=timeout) as answer:
            body = answer.read()
            return json.loads(body) if "json" in answer.headers.get("Content-Type", "") else body.decode()

    def post(self, path, body, timeout=60):
        request = urllib.request.Request(self.http.rstrip("/") + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"POST {path}: {error.code} {error.read().decode()}") from error

    def sql(self, query):
        """Rows of the project's serving store, as dictionaries."""
        return json.loads(self.run("sql", query, "-o", "json").stdout)


def example(name, directory):
    """A copy of examples/NAME that a test may write into."""
    target = Path(directory) / name
    shutil.copytree(ROOT / "examples" / name, target, ignore=shutil.ignore_patterns(".tailrace", "*.duckdb*", "reports"))
    return target


def wait_for(what, condition, timeout=30, every=0.05):
    """condition()'s first true value; its exceptions count as not yet."""
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
            last = value
        except Exception as error:  # noqa: BLE001: whatever a not-yet-ready peer raises
            last = error
        time.sleep(every)
    raise AssertionError(f"{what}: not within {timeout} s (last: {last!r})")
