"""Apache Kafka itself as the judge: the suite tests/kafka holds for it too, and its codec reads and writes every message
byte for byte as ours does."""

import os
import subprocess
import sys

from support import ROOT


def test_the_kafka_suite_expects_what_apache_kafka_does(apache):
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", ROOT / "tests" / "kafka"],
                          env={**os.environ, "KAFKA_UNDER_TEST": apache}, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-5000:]


def test_every_message_is_the_same_byte_for_byte_in_kafkas_codec(kafka_script, tmp_path):
    subprocess.run([kafka_script, "install"], check=True, capture_output=True, timeout=600)
    subprocess.run([ROOT / "dev", "build", "wire_messages_dump"], check=True, capture_output=True, timeout=600)
    messages = tmp_path / "messages.txt"
    with open(messages, "w", encoding="ascii") as file:
        subprocess.run([ROOT / "build" / "wire_messages_dump"], check=True, stdout=file, timeout=60)
    classpath = subprocess.run([kafka_script, "env"], check=True, capture_output=True, text=True).stdout
    classpath = classpath.split("KAFKA_CLASSPATH='")[1].split("'")[0]
    done = subprocess.run(["java", "-cp", classpath, ROOT / "tests" / "engines" / "KafkaCodec.java", messages],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    compared, differ = (int(word) for word in done.stdout.split()[:2])
    assert differ == 0, done.stdout
    assert compared > 5000
