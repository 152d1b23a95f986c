"""Where tests find real input, and what every test may rely on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own VOICEAI_* variables must not reach a test."""
    for name in list(os.environ):
        if name.startswith("VOICEAI_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def dstc2() -> Path:
    """Real telephone calls, one file per day; their licence keeps them out of the repository."""
    folder = SHARED_DATA / "dstc2"
    if not folder.is_dir():
        pytest.skip(f"the DSTC2 calls are not at {folder}")
    return folder
