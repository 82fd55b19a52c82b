"""The answers that the unit test compares with are those of the Jinja2 that is installed."""

import subprocess
import sys
from pathlib import Path


def test_stored_answers_are_those_of_python():
    done = subprocess.run([sys.executable, str(Path(__file__).with_name("jinja_vs_python.py"))], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
