"""The command line as a stranger meets it: exit statuses, what errors say, JSON for scripts."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
import urllib.request

import pytest

from support import PROGRAM, Platform


def tailrace(*args, cwd, env=None, timeout=60, stdin=None, through=()):
    """The finished process of a command that no platform is told to (TAILRACE_* unset). `through`: started by that."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TAILRACE")}
    return subprocess.run([*through, str(PROGRAM), *map(str, args)], cwd=cwd, env={**clean, **(env or {})}, capture_output=True, text=True, timeout=timeout, input=stdin)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# The command line itself


def test_help_lists_every_command_and_ends_with_0(tmp_path):
    done = tailrace("--help", cwd=tmp_path)
    assert done.returncode == 0
    for command in "up run init validate plan apply stream dag task sql topic group status doctor bench version".split():
        assert re.search(rf"^  {command}\b", done.stdout, re.M), command


def commands(path=(), cwd="/"):
    done = tailrace(*path, "--help", cwd=cwd)
    assert done.returncode == 0, (path, done.stderr)
    section = re.search(r"^Subcommands:\n((?:  .*\n?)+)", done.stdout, re.M)
    if not section:
        return [(path, done.stdout)]
    names = re.findall(r"^  ([a-z]+)\b", section.group(1), re.M)
    return [leaf for name in names for leaf in commands((*path, name), cwd)]


def test_every_command_has_an_example(tmp_path):
    leaves = commands(cwd=tmp_path)
    assert len(leaves) > 35
    for path, text in leaves:
        assert "Example:\n  tailrace " + " ".join(path) in text or "Example:" in text and " ".join(("tailrace", *path)) in text, path


@pytest.mark.parametrize("args", [[], ["nonsense"], ["topic"], ["topic", "create"], ["dag", "runs", "--limit", "0"], ["status", "-o", "xml"], ["up", "--no-such-option"]])
def test_wrong_command_lines_end_with_2(tmp_path, args):
    done = tailrace(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr


@pytest.mark.parametrize("args, text", [(["stram", "list"], "did you mean 'stream'?"), (["topic", "lst"], "did you mean 'list'?"), (["dag"], "'tailrace dag' needs a command"),
                                        (["up", "--port-htp", "1"], "did you mean '--port-http'?")])
def test_typing_errors_get_a_suggestion(tmp_path, args, text):
    done = tailrace(*args, cwd=tmp_path)
    assert done.returncode == 2 and text in done.stderr


def test_version(tmp_path):
    assert re.fullmatch(r"tailrace \d+\.\d+\.\d+\n", tailrace("version", cwd=tmp_path).stdout)
    assert "version" in json.loads(tailrace("version", "-o", "json", cwd=tmp_path).stdout)


# Nothing runs


@pytest.mark.parametrize("args", [["status"], ["dag", "list"], ["stream", "list"], ["task", "list", "d", "r"]])
def test_no_platform_says_what_to_do(tmp_path, args):
    done = tailrace(*args, "--url", f"http://127.0.0.1:{free_port()}", cwd=tmp_path)
    assert done.returncode == 1
    assert "no platform answers at http://127.0.0.1:" in done.stderr
    assert "tailrace up" in done.stderr


@pytest.mark.parametrize("args", [["topic", "list"], ["group", "list"], ["topic", "consume", "t"]])
def test_no_kafka_says_what_to_do(tmp_path, args):
    done = tailrace(*args, "--bootstrap", f"127.0.0.1:{free_port()}", cwd=tmp_path)
    assert done.returncode == 1
    assert "no Kafka answers at 127.0.0.1:" in done.stderr
    assert "TAILRACE_KAFKA" in done.stderr


def test_doctor_with_nothing_running_fails(tmp_path):
    port = free_port()
    done = tailrace("doctor", "--url", f"http://127.0.0.1:{port}", "--bootstrap", f"127.0.0.1:{port}", "-o", "json", cwd=tmp_path)
    assert done.returncode == 1
    found = {f["component"]: f["status"] for f in json.loads(done.stdout)}
    assert found["http"] == found["log"] == "failed"


# Starting


def test_second_start_names_the_pid_and_the_remedy(platform):
    done = tailrace("up", "--data-dir", platform.data_dir, "--port-kafka", 0, "--port-http", 0, cwd=platform.dir)
    assert done.returncode == 1
    assert str(platform.ready["pid"]) in done.stderr
    assert "--data-dir" in done.stderr
    assert f"kill {platform.ready['pid']}" in done.stderr


@pytest.mark.parametrize("option", ["--port-kafka", "--port-http"])
def test_busy_port_names_port_and_option(tmp_path, option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = {"--port-kafka": 0, "--port-http": 0, option: port}
        done = tailrace("up", "--data-dir", tmp_path / "d", *[x for pair in ports.items() for x in pair], cwd=tmp_path)
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert option in done.stderr


def test_directory_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    done = tailrace("up", "--data-dir", tmp_path / "file" / "d", "--port-kafka", 0, "--port-http", 0, cwd=tmp_path)
    assert done.returncode == 1
    assert str(tmp_path / "file") in done.stderr


def test_unwritable_directory(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(stat.S_IRUSR | stat.S_IXUSR)
    # Root writes everywhere, unless it gives up that capability.
    plain = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = tailrace("up", "--data-dir", closed / "d", "--port-kafka", 0, "--port-http", 0, cwd=tmp_path, through=plain)
    assert done.returncode == 1
    assert "Permission denied" in done.stderr and "owner and the mode" in done.stderr


def test_wrong_setting_names_the_flag_and_what_is_possible(tmp_path):
    done = tailrace("up", "--port-http", "99999", cwd=tmp_path)
    assert done.returncode == 1
    assert "--port-http" in done.stderr and "1 to 65535" in done.stderr
    done = tailrace("up", cwd=tmp_path, env={"TAILRACE_BROKER_RETENTION": "soon"})
    assert done.returncode == 1
    assert "TAILRACE_BROKER_RETENTION" in done.stderr and "30s" in done.stderr


def test_ready_json_health_and_clean_stop(platform):
    assert set(platform.ready) >= {"kafka", "http", "registry", "pid", "data_dir"}
    assert platform.ready["registry"] is None
    with urllib.request.urlopen(platform.http + "/health") as answer:
        health = json.load(answer)
    assert health["status"] == "ok"
    status, seconds = platform.stop()
    assert status == 0
    assert seconds < 5


def test_detached(tmp_path):
    done = tailrace("up", "-d", "--data-dir", tmp_path / "d", "--port-kafka", 0, "--port-http", 0, "-o", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ready = json.loads(done.stdout)
    try:
        assert tailrace("status", cwd=tmp_path, env={"TAILRACE_URL": ready["http"]}).returncode == 0
        again = tailrace("up", "-d", "--data-dir", tmp_path / "d", "--port-kafka", 0, "--port-http", 0, cwd=tmp_path)
        assert again.returncode == 1 and str(ready["pid"]) in again.stderr
    finally:
        os.kill(ready["pid"], signal.SIGTERM)
    deadline = time.monotonic() + 5
    while (tmp_path / "d" / "tailrace.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_command_finds_the_platform_of_its_directory(tmp_path):
    done = tailrace("up", "-d", "--port-kafka", 0, "--port-http", 0, "-o", "json", cwd=tmp_path)
    ready = json.loads(done.stdout)
    try:
        assert json.loads(tailrace("status", "-o", "json", cwd=tmp_path).stdout)["pid"] == ready["pid"]
        assert tailrace("topic", "create", "t", cwd=tmp_path).returncode == 0
    finally:
        os.kill(ready["pid"], signal.SIGTERM)


def test_broker_only(tmp_path):
    done = tailrace("up", "-d", "--broker-only", "--data-dir", tmp_path / "d", "--port-kafka", 0, "-o", "json", cwd=tmp_path)
    ready = json.loads(done.stdout)
    try:
        assert ready["http"] is None
        assert tailrace("topic", "create", "t", "--bootstrap", ready["kafka"], cwd=tmp_path).returncode == 0
    finally:
        os.kill(ready["pid"], signal.SIGTERM)


# Topics and groups


def test_topics_from_creation_to_deletion(platform):
    run = platform.run
    assert json.loads(run("topic", "create", "events", "-p", 3, "-c", "retention.ms=3600000", "-o", "json").stdout)["status"] == "created"
    again = run("topic", "create", "events", check=False)
    assert again.returncode == 1 and "already there" in again.stderr
    assert run("topic", "create", "events", "--if-not-exists").returncode == 0
    assert run("topic", "produce", "events", "--key", "k", "--value", "one", "-H", "a=b").returncode == 0
    described = json.loads(run("topic", "describe", "events", "-o", "json").stdout)
    assert described["partitions"] == 3 and described["messages"] == 1
    assert described["configs"]["retention.ms"] == "3600000"
    message = json.loads(run("topic", "consume", "events", "-o", "json").stdout)
    assert (message["key"], message["value"], message["headers"]) == ("k", "one", {"a": "b"})
    assert "events" in run("topic", "list").stdout
    typo = run("topic", "describe", "evnts", check=False)
    assert typo.returncode == 1 and "did you mean 'events'?" in typo.stderr
    assert run("topic", "delete", "events").returncode == 0
    assert run("topic", "describe", "events", check=False).returncode == 1


def test_consume_from_the_end_and_by_count(platform):
    platform.run("topic", "create", "t")
    env = dict(os.environ, TAILRACE_KAFKA=platform.kafka)
    subprocess.run([str(PROGRAM), "topic", "produce", "t"], input="\n".join(map(str, range(100))) + "\n", text=True, env=env, check=True, capture_output=True)
    assert platform.run("topic", "consume", "t", "--from", -3).stdout.split() == ["97", "98", "99"]
    assert platform.run("topic", "consume", "t", "-n", 2).stdout.split() == ["0", "1"]
    assert platform.run("topic", "consume", "t", "--from", 98).stdout.split() == ["98", "99"]
    assert platform.run("topic", "consume", "t", "--from", "1h", "-n", 1).stdout.split() == ["0"]
    wrong = platform.run("topic", "consume", "t", "--from", "yesterday", check=False)
    assert wrong.returncode == 1 and "earliest, latest" in wrong.stderr


def test_groups_lag_and_reset(platform):
    platform.run("topic", "create", "t")
    for n in range(5):
        platform.run("topic", "produce", "t", "--value", n)
    assert len(platform.run("topic", "consume", "t", "-g", "g", "-n", 5).stdout.split()) == 5
    assert any(g["group"] == "g" for g in json.loads(platform.run("group", "list", "-o", "json").stdout))
    deadline = time.monotonic() + 10
    while json.loads(platform.run("group", "describe", "g", "-o", "json").stdout)["state"] != "Empty":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    dry = json.loads(platform.run("group", "reset", "g", "-t", "t", "--to", -2, "--dry-run", "-o", "json").stdout)
    assert dry[0]["committed"] == 3
    platform.run("group", "reset", "g", "-t", "t", "--to", "earliest")
    assert json.loads(platform.run("group", "describe", "g", "-o", "json").stdout)["lag"] == 5
    assert platform.run("group", "delete", "g").returncode == 0
    assert platform.run("group", "describe", "g", check=False).returncode == 1


# Projects


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_init_gives_a_project_that_is_valid(tmp_path):
    assert tailrace("init", "p", cwd=tmp_path).returncode == 0
    done = tailrace("validate", "p", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    again = tailrace("init", "p", cwd=tmp_path)
    assert again.returncode == 1 and "already has a tailrace.yaml" in again.stderr


def test_init_then_run_works(tmp_path):
    tailrace("init", "p", cwd=tmp_path)
    done = tailrace("run", "p", "--for", "25s", "--port-kafka", 0, "--port-http", 0, cwd=tmp_path, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "check_table: success" in done.stdout
    assert "Lisbon" in done.stdout
    assert "stopped cleanly" in done.stdout


def test_broken_files_are_all_named_with_their_places(tmp_path):
    write(tmp_path / "tailrace.yaml", "name: p\ntopisc: []\nstores: {s: {}}\n")
    write(tmp_path / "streams" / "a.sql", "CREATE TABLE t (a INT) WITH ('connector' = 'datagen');\nINSERT INTO nowhere SELECT a FROM t;\n")
    write(tmp_path / "dags" / "d.yaml", "dag_id: d\ntasks:\n  - task_id: a\n    operator: bsah\n")
    write(tmp_path / "generators" / "g.yaml", "name: g\nrat: 5\n")
    done = tailrace("validate", cwd=tmp_path)
    assert done.returncode == 1
    for place in ["tailrace.yaml:2:1", "tailrace.yaml:3:10", "streams/a.sql:2:", "dags/d.yaml:4:", "generators/g.yaml:2:"]:
        assert place in done.stdout, (place, done.stdout)
    assert "did you mean 'topics'?" in done.stdout
    up = tailrace("up", "--port-kafka", 0, "--port-http", 0, cwd=tmp_path)
    assert up.returncode == 1 and "tailrace.yaml:2:1" in up.stderr and "tailrace validate" in up.stderr


def test_no_project(tmp_path):
    for command in (["validate"], ["plan"], ["up", "elsewhere"], ["run"]):
        done = tailrace(*command, cwd=tmp_path)
        assert done.returncode == 1, command
        assert "tailrace init" in done.stderr, command


def test_unknown_profile(tmp_path):
    write(tmp_path / "tailrace.yaml", "name: p\nprofiles: {production: {kafka: 'h:9092'}}\n")
    done = tailrace("up", "--profile", "producton", "--port-kafka", 0, "--port-http", 0, cwd=tmp_path)
    assert done.returncode == 1 and "did you mean 'production'?" in done.stderr


def test_apply_creates_what_was_added(tmp_path):
    write(tmp_path / "p" / "tailrace.yaml", "name: p\ntopics: [one]\n")
    with Platform(tmp_path, project=tmp_path / "p") as p:
        assert "one" in p.run("topic", "list").stdout
        write(tmp_path / "p" / "tailrace.yaml", "name: p\ntopics: [one, two]\n")
        planned = {x["name"]: x["action"] for x in json.loads(p.run("plan", tmp_path / "p", "-o", "json").stdout)}
        assert planned == {"one": "nothing to do", "two": "create with 1 partitions"}
        applied = {x["name"]: x["result"] for x in json.loads(p.run("apply", tmp_path / "p", "-o", "json").stdout)}
        assert applied == {"one": "ready", "two": "created"}
        assert "two" in p.run("topic", "list").stdout
        write(tmp_path / "other" / "tailrace.yaml", "name: other\n")
        other = p.run("apply", tmp_path / "other", check=False)
        assert other.returncode == 1 and "tailrace up" in other.stderr


# SQL


def test_sql_over_a_file_and_over_the_platform(tmp_path):
    write(tmp_path / "p" / "tailrace.yaml", "name: p\nstores: {serving: {path: s.duckdb}}\n")
    project = tmp_path / "p"
    assert tailrace("sql", "CREATE TABLE t AS SELECT 42 AS a", cwd=project).returncode == 0
    assert json.loads(tailrace("sql", "FROM t", "-o", "json", cwd=project).stdout) == [{"a": 42}]
    with Platform(tmp_path, project=project) as p:
        assert json.loads(p.run("sql", "SELECT a FROM t", "-o", "json").stdout) == [{"a": 42}]
        refused = p.run("sql", "DROP TABLE t", check=False)
        assert refused.returncode == 1 and "--write" in refused.stderr
        assert p.run("sql", "INSERT INTO t VALUES (43)", "--write").returncode == 0
        assert "85" in p.run("sql", "SELECT sum(a) FROM t").stdout.split()
        assert "with 1 tables" in p.run("doctor").stdout
        wrong = p.run("sql", "SELECT b FROM t", check=False)
        assert wrong.returncode == 1 and "b" in wrong.stderr
    assert json.loads(tailrace("sql", "SELECT count(*) AS n FROM t", "-o", "json", cwd=project).stdout) == [{"n": 2}]


def test_sql_from_standard_input_and_file(tmp_path):
    assert json.loads(tailrace("sql", "-o", "json", cwd=tmp_path, stdin="SELECT 1 AS one").stdout) == [{"one": 1}]
    (tmp_path / "q.sql").write_text("SELECT 'ü' AS u;")
    assert json.loads(tailrace("sql", "-f", "q.sql", "-o", "json", cwd=tmp_path).stdout) == [{"u": "ü"}]
    assert "u: ü" in tailrace("sql", "-f", "q.sql", "-o", "yaml", cwd=tmp_path).stdout


# Streams without a project


def test_stream_run_ends_by_itself(tmp_path):
    (tmp_path / "in.csv").write_text("1,a\n2,b\n3,a\n")
    write(tmp_path / "job.sql", """
        CREATE TABLE i (n INT, s STRING) WITH ('connector' = 'filesystem', 'path' = 'in.csv', 'format' = 'csv');
        CREATE TABLE o (n INT, s STRING) WITH ('connector' = 'print');
        INSERT INTO o SELECT n * 10, upper(s) FROM i WHERE s = 'a';
    """)
    done = tailrace("stream", "run", "job.sql", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(r["op"], r["n"], r["s"]) for r in rows] == [("+I", 10, "A"), ("+I", 30, "A")]
    assert "FINISHED; 3 read, 2 written" in done.stderr


def test_stream_errors_have_their_place(tmp_path):
    write(tmp_path / "job.sql", "CREATE TABLE i (n INT) WITH ('connector' = 'datagen');\nCREATE TABLE o (n INT) WITH ('connector' = 'print');\nINSERT INTO o SELECT m FROM i;\n")
    done = tailrace("stream", "run", "job.sql", cwd=tmp_path)
    assert done.returncode == 1
    assert "job.sql:3:" in done.stderr and "m" in done.stderr
    assert tailrace("stream", "run", "nothing.sql", cwd=tmp_path).returncode == 1


def test_stream_run_stops_on_ctrl_c(tmp_path):
    write(tmp_path / "job.sql", "CREATE TABLE i (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '50');\nCREATE TABLE o (n BIGINT) WITH ('connector' = 'print');\nINSERT INTO o SELECT n FROM i;\n")
    process = subprocess.Popen([str(PROGRAM), "stream", "run", "job.sql"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 0, err
    assert "CANCELED" in err


def test_stream_explain_without_a_platform(tmp_path):
    write(tmp_path / "job.sql", "CREATE TABLE i (n INT, s STRING) WITH ('connector' = 'datagen');\nCREATE TABLE o (n INT) WITH ('connector' = 'print');\nINSERT INTO o SELECT n FROM i WHERE s > 'a';\n")
    done = tailrace("stream", "explain", "job.sql", cwd=tmp_path)
    assert done.returncode == 0 and "i" in done.stdout


# DAGs


DAG = """
dag_id: chain
schedule: null
start_date: 2024-01-01
tasks:
  - task_id: first
    operator: bash
    with: {command: 'echo "hello {{ dag_run.conf.who }}"'}
  - task_id: second
    operator: bash
    upstream: [first]
    with: {command: 'exit {{ dag_run.conf.code }}'}
"""


@pytest.fixture
def with_dag(tmp_path):
    write(tmp_path / "p" / "tailrace.yaml", "name: p\n")
    write(tmp_path / "p" / "dags" / "chain.yaml", DAG)
    with Platform(tmp_path, project=tmp_path / "p") as p:
        yield p


def test_dag_trigger_wait_tasks_and_logs(with_dag):
    run = with_dag.run
    assert [d["dag_id"] for d in json.loads(run("dag", "list", "-o", "json").stdout)] == ["chain"]
    done = json.loads(run("dag", "trigger", "chain", "--conf", '{"who": "you", "code": 0}', "--wait", "-o", "json").stdout)
    assert done["state"] == "success" and done["conf"] == {"who": "you", "code": 0}
    tasks = json.loads(run("task", "list", "chain", done["run_id"], "-o", "json").stdout)
    assert [(t["task_id"], t["state"]) for t in tasks] == [("first", "success"), ("second", "success")]
    assert "hello you" in run("task", "logs", "chain", "last", "first").stdout
    assert run("dag", "state", "chain").stdout.strip() == "success"
    assert run("task", "state", "chain", "last", "second").stdout.strip() == "success"


def test_failed_dag_ends_with_1_and_can_be_cleared(with_dag):
    run = with_dag.run
    failed = run("dag", "trigger", "chain", "--conf", '{"who": "x", "code": 3}', "--wait", "-o", "json", check=False)
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["state"] == "failed"
    run("task", "mark", "chain", "last", "second", "success")
    assert run("task", "state", "chain", "last", "second").stdout.strip() == "success"


def test_dag_mistakes(with_dag):
    for args, text in [(["dag", "trigger", "chian"], "chian"), (["dag", "trigger", "chain", "--conf", "[1]"], "--conf"), (["dag", "state", "chain"], "no runs"), (["task", "logs", "chain", "nope", "first"], "nope")]:
        done = with_dag.run(*args, check=False)
        assert done.returncode == 1, args
        assert text in done.stderr, (args, done.stderr)


def test_dag_pause_and_next(with_dag):
    assert json.loads(with_dag.run("dag", "pause", "chain", "-o", "json").stdout)["paused"] is True
    assert json.loads(with_dag.run("dag", "unpause", "chain", "-o", "json").stdout)["paused"] is False
    assert with_dag.run("dag", "next", "chain").returncode == 0


# The platform's health


def test_doctor_status_and_metrics(platform):
    done = platform.run("doctor", "-o", "json")
    found = {f["component"]: f["status"] for f in json.loads(done.stdout)}
    assert found["log"] == found["http"] == found["engine"] == found["scheduler"] == found["disk"] == "ok"
    assert "tailrace-doctor" not in platform.run("topic", "list").stdout
    assert platform.run("status").returncode == 0
    with urllib.request.urlopen(platform.http + "/metrics") as answer:
        page = answer.read().decode()
    for name in ["kafka_brokers 1", "kafka_server_brokertopicmetrics_messagesin_total ", "kafka_network_requestmetrics_totaltimems{request=\"Produce\",quantile=\"0.99\"}", "process_resident_memory_bytes "]:
        assert name in page, name


def test_cross_site_requests_change_nothing(platform):
    def post(headers):
        request = urllib.request.Request(platform.http + "/api/v1/topics", data=b'{"name":"t"}', method="POST", headers=headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    assert post({"Origin": "https://evil.example"}) == 403
    assert post({"Host": "evil.example"}) == 403
    assert post({"Origin": platform.http}) == 201


def test_bench_prints_numbers(platform):
    produced = json.loads(platform.run("bench", "produce", "--records", 20000, "-o", "json").stdout)
    assert produced["records"] == 20000 and produced["latency"]["p99_us"] > 0
    assert json.loads(platform.run("bench", "consume", "--records", 20000, "-o", "json").stdout)["records"] == 20000
    assert json.loads(platform.run("bench", "e2e", "--rate", 200, "--for", 1, "-o", "json").stdout)["records"] == 200


def test_stop_takes_no_longer_than_5_seconds_while_a_request_waits(tmp_path):
    write(tmp_path / "p" / "tailrace.yaml", "name: p\n")
    write(tmp_path / "p" / "dags" / "slow.yaml", "dag_id: slow\nschedule: null\nstart_date: 2024-01-01\ntasks:\n  - {task_id: t, operator: bash, with: {command: 'sleep 60'}}\n")
    with Platform(tmp_path, project=tmp_path / "p") as p:
        run = json.loads(p.run("dag", "trigger", "slow", "-o", "json").stdout)
        waiting = subprocess.Popen(["curl", "-s", f"{p.http}/api/v1/dags/slow/runs/{run['run_id'].replace('+', '%2B')}?wait_ms=20000"], stdout=subprocess.DEVNULL)
        time.sleep(0.3)
        status, seconds = p.stop()
        waiting.kill()
    assert status == 0 and seconds < 5
