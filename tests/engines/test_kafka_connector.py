"""The connectors' own tests, against Apache Kafka."""

import os
import re
import subprocess

from support import ROOT


def test_the_kafka_connector_works_with_apache_kafka(apache):
    subprocess.run([ROOT / "dev", "build", "connectors_test"], check=True, capture_output=True, timeout=1200)
    done = subprocess.run([ROOT / "build" / "connectors_test", "--gtest_filter=*/ApacheKafka"], cwd=ROOT / "build",
                          env={**os.environ, "TAILRACE_TEST_KAFKA": apache}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "SKIPPED" not in done.stdout, done.stdout[-5000:]
    assert int(re.search(r"\[  PASSED  \] (\d+) test", done.stdout).group(1)) >= 7, done.stdout[-5000:]
