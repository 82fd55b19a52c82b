import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support import Platform, example  # noqa: E402


@pytest.fixture
def platform(tmp_path):
    """An empty platform on free ports."""
    with Platform(tmp_path) as running:
        yield running


@pytest.fixture
def clickstream(tmp_path):
    """The platform with a fresh copy of examples/clickstream."""
    with Platform(tmp_path, project=example("clickstream", tmp_path)) as running:
        yield running
