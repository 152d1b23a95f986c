"""Stopping: nothing that was started is left, however deaf it is."""

from __future__ import annotations

import sys
import time
from io import StringIO
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from voiceai_assets import supervisor

_DEAF_WITH_A_DEAF_CHILD = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
{rest}
"""


@pytest.mark.parametrize("rest", ["time.sleep(600)", "sys.exit()"], ids=["the parent is deaf", "the parent is gone"])
def test_stopping_leaves_no_process_behind(rest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_STOPPING_SECONDS", 1)
    log = tmp_path / "log"
    script = _DEAF_WITH_A_DEAF_CHILD.format(rest=rest)
    server = supervisor._start([sys.executable, "-c", script], {}, log)
    grandchild = psutil.Process(_number_in(log))

    supervisor._stop_all({"server": server}, Console(file=StringIO()))

    assert server.poll() is not None
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def _number_in(log: Path) -> int:
    deadline = time.monotonic() + 30
    while not (log.exists() and log.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(log.read_text())
