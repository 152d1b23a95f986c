"""What the fault tests are made of: a day in two versions, runs that can be killed, a reader that never looks away.

Belongs here: machinery. Does not belong here: what must hold after a fault (``test_faults``).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, LiteralString

import psutil
import psycopg

from tests.integration.world import World
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.runs import Outcome, run_days
from voiceai_assets.settings import Settings
from voiceai_assets.warehouse.server import leave_embedded

DAY = "2026-08-01"
TURNS_PER_SESSION = 10
#: Seconds after which something hangs. A step takes one or two, but a busy machine has made it wait for a minute.
PATIENCE = 400
#: The same key everywhere, so that two homes give the same pseudonyms, load ids and certificates.
SETTINGS: dict[str, Any] = {"pseudonym_key": "the same key in every test"}

#: Children are forked from a process that has imported everything: a run takes what it takes, without 5 s of imports.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["voiceai_assets.runs", "voiceai_assets.checks.expectations", "great_expectations", "dagster_postgres", __name__]
)


# -- the day -----------------------------------------------------------------------------------------------------------


def land_day(world: World, turns: int, seed: int) -> None:
    """Land a version of the day: turns, declared sessions, and a few records that are refused or repeated."""
    draw = random.Random(seed)
    path = world.landing / f"turns-{DAY}.jsonl"
    draft = path.with_name(f".{path.name}")
    with draft.open("w") as out:
        for number in range(turns):
            line = _turn(number, draw)
            out.write(line)
            if number % 997 == 0:
                out.write(line)  # an exact repeat
            if number % 1499 == 0:
                out.write('{"session_id": "refused", "turn_number": "many"}\n')
    draft.replace(path)
    folder = world.landing / "sessions"
    folder.mkdir(exist_ok=True)
    rows = (f"s{n:07},{_start(n)},completed\n" for n in range(turns // TURNS_PER_SESSION))
    draft = folder / ".sessions"
    draft.write_text("session_id,started_at,final_outcome\n" + "".join(rows))
    draft.replace(folder / f"sessions-{DAY}.csv")
    world.look()


def _turn(number: int, draw: random.Random) -> str:
    session, turn = divmod(number, TURNS_PER_SESSION)
    return (
        f'{{"session_id":"s{session:07}","turn_number":{turn + 1},"timestamp":"{_start(session)[:-2]}{turn * 5:02}",'
        f'"user_id":"u{session % 3000}","language":"rw","module":"pay","user_text":"i want to pay my bill please",'
        f'"agent_text":"Which bill would you like to pay today?","asr_confidence":{draw.random():.4f},'
        f'"asr_ms":{draw.randrange(50, 900)},"llm_ms":{draw.randrange(50, 900)},"total_ms":{draw.randrange(900, 2900)},'
        f'"session_outcome":"completed"}}\n'
    )


def _start(session: int) -> str:
    minute = session % (23 * 60)
    return f"{DAY}T{minute // 60:02}:{minute % 60:02}:00"


# -- homes -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(home: Path) -> Iterator[World]:
    """A platform of its own; in the end its server stops, even where killed processes never signed off."""
    world = World(home, **SETTINGS)
    try:
        yield world
    finally:
        stop_server(world)
        world.close()


def copy_home(source: Path, target: Path) -> Path:
    """Copy a home whose server is stopped; with owners, because the server is another user when we are root."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    subprocess.run(["rm", "-rf", str(target / "dbt")], check=True)  # each world brings its own
    return target


def postmaster(world: World) -> psutil.Process:
    """The server's process."""
    return psutil.Process(int((world.settings.home / "postgres" / "postmaster.pid").read_text().split()[0]))


def stop_server(world: World, how: signal.Signals = signal.SIGINT) -> None:
    """Stop it at once; SIGQUIT as if the power had gone (recovery follows), SIGINT in order."""
    with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
        server = postmaster(world)
        server.send_signal(how)
        server.wait(PATIENCE)


def reopen(world: World) -> None:
    """What the next process does: find or start the server."""
    leave_embedded(world.settings)
    world.pipeline = Pipeline.open(world.settings)


# -- a disk that fills up ----------------------------------------------------------------------------------------------


class Disk:
    """A file system of its own that can be filled: home, lake, server and logs lie on one disk, as they do in life."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        """Mount it.

        Raises:
            PermissionError: where nobody but root may mount, and in most containers.
        """
        self.folder = folder
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "voiceai-test", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PermissionError(done.stderr.strip())

    def fill(self, free_megabytes: float) -> None:
        """Leave so much free."""
        found = os.statvfs(self.folder)
        with (self.folder / "ballast").open("wb") as ballast:
            size = found.f_bavail * found.f_frsize - int(free_megabytes * 2**20)
            os.posix_fallocate(ballast.fileno(), 0, size)

    def free(self) -> None:
        """Somebody has cleared up."""
        (self.folder / "ballast").unlink()

    def unmount(self) -> None:
        """Everything on it is gone."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


# -- runs --------------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """A run of the day in a process of its own, and the steps that it has reported as done."""

    process: Any
    channel: Connection
    began: float
    steps: list[tuple[str, float]] = field(default_factory=list)
    outcome: Outcome | None = None
    error: str = ""

    def listen(self, until: int | None = None, timeout: float = PATIENCE) -> bool:
        """Hear reports until so many steps are done, or to the end; False where the run ended before."""
        deadline = time.monotonic() + timeout
        while until is None or len(self.steps) < until:
            if not self.channel.poll(max(0.0, deadline - time.monotonic())):
                raise TimeoutError(f"the run said nothing for {timeout} s after {self.steps}")
            try:
                kind, value = self.channel.recv()
            except (EOFError, ConnectionError):
                return False
            match kind:
                case "step":
                    self.steps.append((value, time.monotonic() - self.began))
                case "outcome":
                    self.outcome = value
                case _:
                    self.error = value
        return True

    def kill(self) -> None:
        """As the kernel does when memory runs out: no signal handler, no exit handler."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()
        self.listen()

    def finish(self, timeout: float = PATIENCE) -> Outcome:
        """Wait for the end."""
        self.listen(timeout=timeout)
        self.process.join(PATIENCE)
        assert self.outcome is not None, self.error or f"the run ended with {self.process.exitcode} and no word"
        return self.outcome


def start_run(world: World, largest_file: int | None = None) -> Run:
    """Run the day as ``voiceai materialize`` does, in a process that may be killed.

    With ``largest_file`` the process may write so many bytes into a file and no more, much as on a full disk.
    """
    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=_run, args=(str(world.settings.home), theirs, largest_file), daemon=True)
    began = time.monotonic()
    process.start()
    theirs.close()
    return Run(process, ours, began)


def _run(home: str, channel: Connection, largest_file: int | None) -> None:
    settings = Settings(home=Path(home), quiet_seconds=0, **SETTINGS)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    try:
        pipeline = Pipeline.open(settings)
        channel.send(("outcome", run_days(pipeline, [DAY], lambda step, day: channel.send(("step", step)))))
    except BaseException as error:
        channel.send(("error", f"{type(error).__name__}: {error}"))
        raise
    finally:
        leave_embedded(settings)  # a child of multiprocessing runs no exit handlers


# -- what is there -----------------------------------------------------------------------------------------------------


def state_of(world: World) -> dict[str, Any]:
    """Rows (hashed, whatever their order), account, verdict, live publications and lake: all but times and run ids."""
    with world.pipeline.warehouse.connect() as connection:
        return {
            **_tables(connection),
            **{name: _rows(connection, query) for name, query in _GOVERNANCE.items()},
            "lake": {
                path.relative_to(world.settings.lake).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(world.settings.lake.rglob("*"))
                if path.is_file() and not path.name.startswith(".")
            },
        }


_GOVERNANCE = {
    "landing_files": "select path, adapter, size_bytes, sha256, rows, home_day, problem, companions "
    "from governance.landing_files",
    "loads": "select dataset, day, load_id, code_version, inputs, rows_in, rows_loaded, rows_quarantined, "
    "rows_duplicate, last_turn_at, last_open_turn_at from governance.loads where is_live",
    "load_files": "select * from governance.load_files",
    "quarantine": "select * from governance.quarantine",
    "bridges": "select * from governance.session_bridges",
    "results": "select r.asset, r.check_name, r.day, r.load_id, r.suite_version, r.status, r.severity, r.observed, "
    "r.expected, r.sample from governance.quality_results r where r.load_id in "
    "(select load_id from governance.loads where is_live union select intake_id from governance.intakes)",
    "verdicts": "select day, status, reasons, load_id from governance.verdicts",
    "publications": "select mart, day, load_id, certificate_id, row_count, content_sha256 "
    "from governance.publications where is_live",
    "certificates": "select c.certificate_id, c.body from governance.certificates c "
    "where c.certificate_id in (select certificate_id from governance.publications where is_live)",
    "status": "select day, status, stale_because from governance.day_status",
}


def _rows(connection: psycopg.Connection[Any], query: str) -> list[str]:
    found = connection.execute(f"select to_jsonb(q) from ({query}) q").fetchall()  # type: ignore[arg-type]
    return sorted(json.dumps(row[0], sort_keys=True) for row in found)


def _tables(connection: psycopg.Connection[Any]) -> dict[str, tuple[int, str]]:
    """Row count and hash of each table of rows, and of what readers see of the marts."""
    tables = connection.execute(
        "select n.nspname, c.relname, string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_class c "
        "join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid "
        "where (n.nspname in ('raw', 'intermediate', 'marts') and c.relkind in ('r', 'p', 'v') "
        "and not c.relispartition or n.nspname = 'certified' and c.relkind = 'v' and c.relname like 'fact%%') "
        # a history says what was once recorded, whatever landing holds now
        "and c.relname <> 'session_outcome_history' "
        "and a.attnum > 0 and not a.attisdropped and a.attname <> 'publication_version' group by 1, 2 order by 1, 2"
    ).fetchall()
    found = {}
    for schema, table, columns in tables:
        row = connection.execute(
            f"select count(*), coalesce(sum(('x' || left(h, 15))::bit(60)::bigint), 0) || ':' || "
            f"coalesce(sum(('x' || right(h, 15))::bit(60)::bigint), 0) "
            f"from (select md5(row({columns})::text) as h from {schema}.{table}) t"
        ).fetchone()
        assert row is not None
        found[f"{schema}.{table}"] = (int(row[0]), str(row[1]))
    return found


def assert_chain_holds(world: World) -> None:
    """Certificates are chained one after the other, and each is the text that its name says."""
    rows = world.query("select certificate_id, body, previous_id, chain_sha256 from governance.certificates")
    after = {row["previous_id"]: row for row in rows}
    assert len(after) == len(rows), "two certificates follow the same one"
    chain, at = "", after.get(None)
    for _ in rows:
        assert at is not None, "the chain breaks off"
        assert hashlib.sha256(at["body"].encode()).hexdigest() == at["certificate_id"]
        chain = hashlib.sha256(f"{chain}{at['certificate_id']}".encode()).hexdigest()
        assert chain == at["chain_sha256"]
        at = after.get(at["certificate_id"])


class Watcher:
    """Reads ``certified`` as bi_reader, again and again, and keeps every different answer."""

    look: LiteralString = """
    select * from
      (select count(*), coalesce(sum(turn_count), 0), array_agg(distinct publication_version)
       from certified.fact_voice_ai_sessions where session_date = %(day)s) as sessions,
      (select count(*), count(distinct session_id), array_agg(distinct publication_version)
       from certified.fact_voice_ai_turns where session_date = %(day)s) as turns,
      (select version from certified.day_status where day = %(day)s) as status
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.seen: set[tuple[int, int]] = set()
        self.torn: list[Sequence[Any]] = []
        self.looks = 0

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        try:
            with self._connect() as reader:
                reader.autocommit = True
                while not self._done.wait(0.03):
                    row = reader.execute(self.look, {"day": DAY}).fetchone()
                    assert row is not None
                    self.looks += 1
                    self._judge(row)
        except psycopg.Error as error:
            self.torn.append([str(error)])

    def _connect(self) -> psycopg.Connection[Any]:
        return self._world.as_reader()

    def _judge(self, row: Sequence[Any]) -> None:
        sessions, declared_turns, session_versions, turns, turn_sessions, turn_versions, status_version = row
        is_whole = (
            sessions == turn_sessions
            and declared_turns == turns
            and session_versions == turn_versions
            and session_versions == [status_version]
        )
        if not is_whole:
            self.torn.append(row)
        self.seen.add((int(sessions), int(turns)))


class RawWatcher(Watcher):
    """The same for ``raw``, as whoever builds models reads it; such a reader may wait for a load, but sees no half."""

    look: LiteralString = """
    select count(distinct session_id), count(*), count(distinct load_id),
      (select count(*) from raw.session_days where turn_date = %(day)s)
    from raw.turns where turn_date = %(day)s
    """

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._world.pipeline.warehouse.owner.libpq())

    def _judge(self, row: Sequence[Any]) -> None:
        sessions, turns, loads, declared_sessions = row
        if loads != 1 or sessions != declared_sessions:
            self.torn.append(row)
        self.seen.add((int(sessions), int(turns)))
