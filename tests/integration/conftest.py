"""Integration tests: each on a home and a database of its own.

``TEST_DATABASE_URL`` runs the same tests on an external server (a login that may create roles and databases).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.world import World


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder for one home.

    Not pytest's tmp_path: run as root, the embedded server is another system user, and pytest closes its folders to
    everybody else each time it starts.
    """
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def world(home: Path) -> Iterator[World]:
    """A platform with nothing in it."""
    made = World(home / "home", os.environ.get("TEST_DATABASE_URL"))
    yield made
    made.close()
