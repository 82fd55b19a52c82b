"""Each .sql here against its .out; see run.py."""

import importlib.util
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("golden_sql", Path(__file__).parent / "run.py")
golden = importlib.util.module_from_spec(spec)
spec.loader.exec_module(golden)


@pytest.mark.parametrize("name", golden.cases())
def test_golden(name):
    difference = golden.run(name)
    assert difference is None, difference
