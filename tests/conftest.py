"""Where tests find real input, and what every test may rely on."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("unhurried", settings(), deadline=None)  # of a loaded machine no test may fail
settings.load_profile("unhurried")

#: Homes lie in memory where there is room: a test commits thousands of times, and a disk takes 8 ms for each.
_MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 6 * 2**30:
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # shells start what runs in the background with Ctrl-C ignored; whom a test stops with it would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


def _shared(name: str) -> Path:
    folder = SHARED_DATA / name
    if not folder.is_dir():
        pytest.skip(f"the real input {name} is not at {folder}; its licence keeps it out of the repository")
    return folder


@pytest.fixture(scope="session")
def dstc2() -> Path:
    """Real telephone calls, one file per day."""
    return _shared("dstc2")


@pytest.fixture(scope="session")
def irembo() -> Path:
    """Five related tables of a government voice assistant, 120 days in each file."""
    return _shared("irembo")


@pytest.fixture(scope="session")
def converza() -> Path:
    """Call documents, one file per call."""
    return _shared("converza")
