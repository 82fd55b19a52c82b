"""franz-go's own tests (consumer groups under rebalances, transactions, offsets) against tailrace. They need Go."""

import json
import os
import re
import shutil
import subprocess

import pytest

MODULE = "github.com/twmb/franz-go@v1.18.1"


def test_franz_go(platform, tmp_path):
    if not shutil.which("go"):
        pytest.fail("NOT RUN: franz-go's tests need Go 1.21 or newer on PATH")
    download = subprocess.run(["go", "mod", "download", "-json", MODULE], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert download.returncode == 0, download.stdout + download.stderr
    source = tmp_path / "franz-go"
    shutil.copytree(json.loads(download.stdout)["Dir"], source, copy_function=shutil.copyfile)
    for directory, _, _ in os.walk(source):  # the module cache is read-only
        os.chmod(directory, 0o755)
    env = {**os.environ, "KGO_SEEDS": platform.kafka, "KGO_TEST_RF": "1", "KGO_TEST_RECORDS": "50000"}
    done = subprocess.run(["go", "test", "-count=1", "-timeout", "600s", "-v", "./pkg/kgo"], cwd=source, env=env,
                          capture_output=True, text=True, timeout=900)
    failed = re.findall(r"^\s*--- FAIL: (\S+)", done.stdout, re.M)
    assert done.returncode == 0, f"failed: {failed}\n{done.stdout[-3000:]}{done.stderr[-2000:]}"
    assert len(re.findall(r"^\s*--- PASS", done.stdout, re.M)) > 100
