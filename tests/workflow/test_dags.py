"""DAGs through the program, as a user sees them: schedules, trigger rules, sensors, timeouts, new files, `dag test`."""

import json
import subprocess
import time

import pytest

from support import PROGRAM, Platform, wait_for

DAGS = {
    "rules": """
tasks:
  - {task_id: good, operator: bash, with: {command: "true"}}
  - {task_id: bad, operator: bash, with: {command: "exit 3"}}
  - {task_id: skips, operator: bash, with: {command: "exit 99"}}
  - {task_id: all_success, operator: bash, upstream: [good, bad], with: {command: "true"}}
  - {task_id: all_done, operator: bash, upstream: [good, bad, skips], trigger_rule: all_done, with: {command: "true"}}
  - {task_id: one_failed, operator: bash, upstream: [good, bad], trigger_rule: one_failed, with: {command: "true"}}
  - {task_id: none_failed, operator: bash, upstream: [good, skips], trigger_rule: none_failed, with: {command: "true"}}
  - {task_id: none_skipped, operator: bash, upstream: [good, skips], trigger_rule: none_skipped, with: {command: "true"}}
  - {task_id: all_skipped, operator: bash, upstream: [skips], trigger_rule: all_skipped, with: {command: "true"}}
  - {task_id: leaf, operator: bash, upstream: [all_success, all_done, one_failed, none_failed, none_skipped, all_skipped], trigger_rule: always, with: {command: "true"}}
""",
    "ticks": """
schedule: 1s
max_active_runs: 1
is_paused_upon_creation: true
tasks: [{task_id: tick, operator: bash, with: {command: "echo {{ run_id }} >> ticks.txt"}}]
""",
    "sensing": """
tasks:
  - {task_id: file, operator: sensor.file, with: {path: there.txt, mode: reschedule, poke_interval: 100ms, timeout: 20s}}
  - {task_id: after, operator: bash, upstream: [file], with: {command: "cat {{ ti.xcom_pull(task_ids='file') }}"}}
""",
    "slow": """
pools: {narrow: 2}
default_args: {pool: narrow}
tasks:
  - {task_id: a, operator: bash, execution_timeout: 500ms, with: {command: "sleep 60"}}
  - {task_id: b, operator: bash, with: {command: "date +%s.%N; sleep 0.5"}}
  - {task_id: c, operator: bash, with: {command: "date +%s.%N; sleep 0.5"}}
""",
    "wide": "max_active_tasks: 64\ntasks:\n" + "".join(
        f"  - {{task_id: t{i}, operator: bash, with: {{command: 'sleep 0.0{i % 10}; echo t{i} >> wide.txt'}}}}\n" for i in range(40))
        + "  - {task_id: end, operator: bash, upstream: [" + ", ".join(f"t{i}" for i in range(40)) + "], with: {command: 'echo end >> wide.txt'}}\n",
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    directory = tmp_path_factory.mktemp("workflow")
    project = directory / "project"
    (project / "dags").mkdir(parents=True)
    (project / "tailrace.yaml").write_text("name: test\n")
    for name, text in DAGS.items():
        (project / "dags" / f"{name}.yaml").write_text(text)
    with Platform(directory, project=project) as running:
        running.project = project
        yield running


def run_dag(platform, dag_id, check=True):
    return json.loads(platform.run("dag", "trigger", dag_id, "--wait", "-o", "json", check=check).stdout)


def states(platform, dag_id, run_id):
    return {t["task_id"]: t["state"] for t in platform.json("task", "list", dag_id, run_id)}


def test_trigger_rules(platform):
    run = run_dag(platform, "rules")
    assert run["state"] == "success"
    assert states(platform, "rules", run["run_id"]) == {
        "good": "success", "bad": "failed", "skips": "skipped", "all_success": "upstream_failed", "all_done": "success",
        "one_failed": "success", "none_failed": "success", "none_skipped": "skipped", "all_skipped": "success", "leaf": "success"}


def test_a_schedule_fires_and_pauses(platform):
    platform.run("dag", "unpause", "ticks")
    ticks = platform.project / "ticks.txt"
    wait_for("three runs", lambda: ticks.exists() and len(ticks.read_text().split()) >= 3)
    platform.run("dag", "pause", "ticks")
    time.sleep(0.5)
    seen = ticks.read_text().split()
    time.sleep(2)
    assert ticks.read_text().split() == seen
    assert len(set(seen)) == len(seen)
    assert all(run.startswith("scheduled__") for run in seen)


def test_a_sensor_gives_its_slot_back_and_sees_the_file(platform):
    run = json.loads(platform.run("dag", "trigger", "sensing", "-o", "json").stdout)
    wait_for("a poke", lambda: states(platform, "sensing", run["run_id"])["file"] == "up_for_reschedule")
    (platform.project / "there.txt").write_text("it is here\n")
    wait_for("the end", lambda: states(platform, "sensing", run["run_id"])["after"] == "success")
    assert "it is here" in platform.run("task", "logs", "sensing", run["run_id"], "after").stdout


def test_pools_and_timeouts(platform):
    run = run_dag(platform, "slow", check=False)
    assert run["state"] == "failed"
    tasks = {t["task_id"]: t for t in platform.json("task", "list", "slow", run["run_id"])}
    assert tasks["a"]["state"] == "failed" and "execution_timeout" in json.dumps(tasks["a"])
    begun = [float(line) for task in "bc" for line in platform.run("task", "logs", "slow", run["run_id"], task).stdout.split()
             if line.replace(".", "", 1).isdigit() and float(line) > 1e9]
    assert abs(begun[0] - begun[1]) >= 0.4, "two slots: one of the three has to wait"


def test_forty_at_a_time_under_kill_nine(platform):
    run = json.loads(platform.run("dag", "trigger", "wide", "-o", "json").stdout)
    for _ in range(4):
        time.sleep(0.05)
        platform.kill()
        platform.start()
    wait_for("the end", lambda: states(platform, "wide", run["run_id"])["end"] == "success")
    lines = (platform.project / "wide.txt").read_text().split()
    assert sorted(lines[:-1]) == sorted(f"t{i}" for i in range(40))
    assert lines[-1] == "end"


def test_new_changed_and_broken_files(platform):
    file = platform.project / "dags" / "fresh.yaml"
    file.write_text("tasks: [{task_id: a, operator: bash, with: {command: echo one}}]\n")
    wait_for("the new DAG", lambda: "fresh" in [d["dag_id"] for d in platform.json("dag", "list")], timeout=5)
    run = run_dag(platform, "fresh")
    assert "one" in platform.run("task", "logs", "fresh", run["run_id"], "a").stdout
    file.write_text("tasks: [{task_id: a, operator: bash, with: {command: echo two}}]\n")
    wait_for("the changed DAG", lambda: "two" in platform.run("task", "logs", "fresh", run_dag(platform, "fresh")["run_id"], "a").stdout, timeout=5)
    file.write_text("tasks: [{task_id: a, operator: bash, wiht: {}}]\n")
    wait_for("the error", lambda: "did you mean 'with'?" in json.dumps(platform.json("dag", "list")), timeout=5)
    assert run_dag(platform, "fresh")["state"] == "success"  # the version before goes on


def test_dag_test_needs_no_platform(tmp_path):
    file = tmp_path / "alone.yaml"
    file.write_text("tasks: [{task_id: a, operator: bash, with: {command: 'echo from {{ dag.dag_id }}'}}]\n")
    done = subprocess.run([str(PROGRAM), "dag", "test", str(file)], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "from alone" in done.stdout
