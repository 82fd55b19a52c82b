"""kill -9 of the platform while a DAG runs: it resumes, and each task ends once."""

import json
import time

from support import Platform, wait_for

DAG = """
dag_id: survivor
schedule: null
start_date: 2024-01-01
tasks:
  - {task_id: before, operator: bash, with: {command: "echo before >> ends.txt"}}
  - {task_id: long, operator: bash, upstream: [before], with: {command: "sleep 3; echo long >> ends.txt"}}
  - {task_id: after, operator: bash, upstream: [long], with: {command: "echo after >> ends.txt"}}
"""

FLAKY = """
dag_id: flaky
schedule: null
start_date: 2024-01-01
tasks:
  - task_id: third_time
    operator: bash
    retries: 3
    retry_delay: 1s
    retry_exponential_backoff: true
    with: {command: "echo try {{ ti.try_number }}; test {{ ti.try_number }} -ge 3"}
"""


def project(tmp_path, **dags):
    directory = tmp_path / "project"
    (directory / "dags").mkdir(parents=True)
    (directory / "tailrace.yaml").write_text("name: test\n")
    for name, text in dags.items():
        (directory / "dags" / f"{name}.yaml").write_text(text)
    return directory


def test_a_killed_dag_resumes(tmp_path):
    directory = project(tmp_path, survivor=DAG)
    with Platform(tmp_path, project=directory) as platform:
        run = platform.json("dag", "trigger", "survivor")
        wait_for("the long task", lambda: [t for t in platform.json("task", "list", "survivor", run["run_id"])
                                           if t["task_id"] == "long" and t["state"] == "running"])
        for _ in range(3):
            platform.kill()
            platform.start()
            time.sleep(0.3)
        state = wait_for("the run's end", lambda: [r for r in platform.json("dag", "runs", "survivor") if r["state"] in ("success", "failed")])
        assert state[0]["state"] == "success"
        assert (directory / "ends.txt").read_text().split() == ["before", "long", "after"]


def test_a_task_that_fails_twice_is_retried_with_growing_delays_and_keeps_its_logs(tmp_path):
    directory = project(tmp_path, flaky=FLAKY)
    with Platform(tmp_path, project=directory) as platform:
        run = json.loads(platform.run("dag", "trigger", "flaky", "--wait", "-o", "json").stdout)
        assert run["state"] == "success"
        task = platform.json("task", "list", "flaky", run["run_id"])[0]
        assert task["try_number"] == 3 and task["state"] == "success"
        for number in (1, 2, 3):
            assert f"try {number}" in platform.run("task", "logs", "flaky", run["run_id"], "third_time", "--try", number).stdout
