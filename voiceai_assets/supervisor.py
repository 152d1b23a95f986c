"""Start the servers of ``voiceai up``, watch them, and stop everything that was started.

Belongs here: processes and signals. Does not belong here: what the processes do.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil
from rich.console import Console

from voiceai_assets.instance import WORKSPACE, prepare_instance
from voiceai_assets.partitions import first_day
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.settings import Settings

_STARTING_SECONDS = 90
_STOPPING_SECONDS = 25
_DYING_SECONDS = 10


def supervise(pipeline: Pipeline, console: Console) -> int:
    """Run Dagster and the dashboards until a signal or until one of them ends; returns the exit status."""
    settings = pipeline.settings
    if busy := [
        port for port in (settings.dagster_port, settings.dashboard_port) if _is_open(settings.bind_host, port)
    ]:
        console.print(
            f"[red]error:[/] port {busy[0]} is in use. Is another `voiceai up` running? "
            "VOICEAI_DAGSTER_PORT and VOICEAI_DASHBOARD_PORT choose other ports."
        )
        return 1
    environment = {**os.environ, **prepare_instance(pipeline)}
    logs = settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    stop = _StopRequest()
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands(settings).items():
            children[name] = _start(command, environment, logs / f"{name}.log")
        if not _wait_until_ready(settings, children, stop, console):
            return 0 if stop.requested else 1
        console.print(f"Dagster UI   {settings.dagster_url}\ndashboards   {settings.dashboard_url}\nCtrl-C stops both")
        return _watch(pipeline, children, stop, console, logs)
    finally:
        _stop_all(children, console)


def commands(settings: Settings) -> Mapping[str, list[str]]:
    """Command line of each server."""
    return {
        "dagster": [
            *(sys.executable, "-m", "dagster", "dev", "-w", str(WORKSPACE)),
            *("-h", settings.bind_host, "-p", str(settings.dagster_port)),
        ],
        "dashboard": [sys.executable, "-m", "voiceai_assets.cli", "dashboard"],
    }


class _StopRequest:
    """Remembers that somebody asked us to stop; handlers do nothing else."""

    def __init__(self) -> None:
        self.requested = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True


def _start(command: list[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that Ctrl-C reaches us alone and we stop it in order."""
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603  # our own command line
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_ready(
    settings: Settings, children: Mapping[str, subprocess.Popen[bytes]], stop: _StopRequest, console: Console
) -> bool:
    deadline = time.monotonic() + _STARTING_SECONDS
    with console.status("starting the Dagster UI and the dashboards"):
        while time.monotonic() < deadline and not stop.requested:
            if ended := _ended(children):
                console.print(f"[red]error:[/] {ended} ended while starting; see {settings.home / 'logs' / ended}.log")
                return False
            if all(_is_open(settings.bind_host, p) for p in (settings.dagster_port, settings.dashboard_port)):
                return True
            time.sleep(0.3)
    if not stop.requested:
        console.print(f"[red]error:[/] not ready after {_STARTING_SECONDS} s; see {settings.home / 'logs'}")
    return False


def _watch(
    pipeline: Pipeline,
    children: Mapping[str, subprocess.Popen[bytes]],
    stop: _StopRequest,
    console: Console,
    logs: Path,
) -> int:
    start = first_day(pipeline.settings)
    while not stop.requested:
        if ended := _ended(children):
            console.print(f"[red]error:[/] {ended} ended by itself; see {logs / ended}.log")
            return 1
        if first_day(pipeline.settings) != start:
            start = first_day(pipeline.settings)
            console.print(f"older files landed: partitions now start at {start}")
            _reload_code_location(pipeline.settings)
        time.sleep(1)
    return 0


def _reload_code_location(settings: Settings) -> None:
    """Partitions that start earlier are only seen once the code location is loaded again."""
    from dagster_graphql import DagsterGraphQLClient

    client = DagsterGraphQLClient(settings.bind_host, port_number=settings.dagster_port)
    client.reload_repository_location("voiceai")


def _ended(children: Mapping[str, subprocess.Popen[bytes]]) -> str | None:
    return next((name for name, child in children.items() if child.poll() is not None), None)


def _stop_all(children: Mapping[str, subprocess.Popen[bytes]], console: Console) -> None:
    """Ask politely, wait, then insist, also with what the servers started: code servers, daemon, runs."""
    alive = {name: child for name, child in children.items() if child.poll() is None}
    if alive:
        console.print(f"stopping {', '.join(alive)}")
    for child in alive.values():
        child.send_signal(signal.SIGINT)
    deadline = time.monotonic() + _STOPPING_SECONDS
    for child in alive.values():
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0.1, deadline - time.monotonic()))
    # they use the embedded server, which is ours to stop only once they are gone
    sessions, deadline = {child.pid for child in children.values()}, time.monotonic() + _DYING_SECONDS
    while (left := _of_sessions(sessions)) and time.monotonic() < deadline:
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=1)


def _of_sessions(sessions: Collection[int]) -> list[psutil.Process]:
    """What still runs in the sessions that ``_start`` opened, also where the parent has ended."""
    found = []
    for process in psutil.process_iter():
        with suppress(OSError, psutil.NoSuchProcess):
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _is_open(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.3)
        return probe.connect_ex((host, port)) == 0
