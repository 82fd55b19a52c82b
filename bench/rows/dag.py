"""20 chained and 40 parallel trivial bash tasks, beside Airflow with its LocalExecutor: seconds from trigger to end."""
import re
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import Engine, Platform, row, say  # noqa: E402

RUNS = 5


def dag(name, tasks, chained):
    lines = [f"dag_id: {name}", "schedule: null", "start_date: 2024-01-01", "max_active_tasks: 64", "tasks:"]
    for i in range(tasks):
        upstream = f", upstream: [t{i - 1}]" if chained and i else ""
        lines.append(f"  - {{task_id: t{i}, operator: bash{upstream}, with: {{command: 'true'}}}}")
    return "\n".join(lines) + "\n"


def stamp(text):
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()


ours = {"chain20_bash": [], "parallel40_bash": []}
with tempfile.TemporaryDirectory() as d:
    project = Path(d) / "project"
    (project / "dags").mkdir(parents=True)
    (project / "tailrace.yaml").write_text("name: bench\n")
    (project / "dags" / "chain20_bash.yaml").write_text(dag("chain20_bash", 20, True))
    (project / "dags" / "parallel40_bash.yaml").write_text(dag("parallel40_bash", 40, False))
    with Platform(d, project=project) as platform:
        for name, times in ours.items():
            for _ in range(RUNS):
                begin = time.time()
                run = platform.json("dag", "trigger", name, "--wait")
                assert run["state"] == "success", run
                times.append(stamp(run["end_date"]) - begin)
        say(f"tailrace: {ours}")

with Engine("airflow") as airflow:
    theirs = {}
    for name, seconds in re.findall(r"^(\w+) run \d+: success trigger-to-end ([\d.]+) s", airflow.call("bench", "3"), re.M):
        theirs.setdefault(name, []).append(float(seconds))
for name, times in ours.items():
    row(f"{name}: trigger to end (Airflow)", times, theirs[name], "seconds", "less")
