"""Landing and lake on an object store, over real HTTP: from an uploaded object to a certified day, and back."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from rich.console import Console

from tests.integration.world import World, session
from voiceai_assets import retention
from voiceai_assets.cli import privacy, quarantine
from voiceai_assets.cli.first_run import first_run
from voiceai_assets.cli.landing import land_files
from voiceai_assets.lake.account import LakeDay
from voiceai_assets.lake.inbox import scan
from voiceai_assets.lake.remote import Remote, StoreError
from voiceai_assets.pipeline import Pipeline

DAY = "2026-08-01"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    files = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    if not files.exists("calls"):
        files.mkdir("calls")  # moto keeps its buckets for as long as the process lives
    yield files
    files.rm("calls/", recursive=True)
    server.stop()


@pytest.fixture
def remote_world(home: Path, store: Any) -> Iterator[World]:
    made = World(
        home / "home",
        os.environ.get("TEST_DATABASE_URL"),
        landing_url="s3://calls/landing",
        lake_url="s3://calls/lake",
    )
    yield made
    made.close()


def _turns(*sessions: str) -> bytes:
    rows = [row for name in sessions for row in session(name, f"{DAY}T10:00")]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_an_uploaded_object_becomes_a_certified_day_and_a_replaced_one_another(remote_world: World, store: Any) -> None:
    store.pipe(f"calls/landing/canonical/turns-{DAY}.jsonl", _turns("a", "b"))
    remote_world.look()
    remote_world.run(DAY)
    assert remote_world.certified() == {DAY: 2}
    assert {path.rsplit("/", 1)[-1] for path in store.find("calls/lake/turns")} == {"rows.parquet", "_account.json"}

    store.pipe(f"calls/landing/canonical/turns-{DAY}.jsonl", _turns("a", "b", "c"))
    remote_world.run(DAY)
    assert remote_world.certified() == {DAY: 3}

    store.rm_file(f"calls/landing/canonical/turns-{DAY}.jsonl")
    remote_world.run(DAY)
    assert remote_world.status(DAY) == "blocked"


def test_raw_is_rebuilt_from_the_lake_on_the_store_alone(remote_world: World, store: Any) -> None:
    store.pipe(f"calls/landing/canonical/turns-{DAY}.jsonl", _turns("a", "b"))
    remote_world.look()
    remote_world.run(DAY)
    before = remote_world.query("select * from raw.turns order by session_id, turn_number")
    shutil.rmtree(remote_world.settings.lake)
    with remote_world.pipeline.warehouse.connect() as connection:
        connection.execute("truncate raw.turns")
    remote_world.pipeline.load(DAY)
    assert remote_world.query("select * from raw.turns order by session_id, turn_number") == before


def test_the_first_start_brings_no_sample_into_a_store(remote_world: World, store: Any) -> None:
    said = io.StringIO()
    first_run(remote_world.pipeline, Console(file=said, width=400), with_sample=True)
    assert store.find("calls/landing") == []
    assert list(scan(remote_world.settings.landing)) == []
    assert said.getvalue() == "no model yet: no model: no day is certified now; `voiceai status` says why\n"


def test_what_a_store_held_that_landing_left_is_nobodys_concern(remote_world: World, store: Any) -> None:
    store.pipe("calls/landing/canonical/a//b.jsonl", _turns("a"))
    assert len(remote_world.pipeline.look_into_landing().left_aside) == 1
    local = Pipeline(remote_world.settings.model_copy(update={"landing_url": None}), remote_world.pipeline.warehouse)
    assert local.look_into_landing().left_aside == []


def test_an_object_that_nobody_has_seen_yet_is_not_replaced_in_silence(
    remote_world: World, store: Any, tmp_path: Path
) -> None:
    store.pipe(f"calls/landing/canonical/turns-{DAY}.jsonl", _turns("a", "b"))
    path = tmp_path / f"turns-{DAY}.jsonl"
    path.write_bytes(_turns("c"))
    complained = io.StringIO()
    errors = Console(file=complained, width=400)
    assert land_files(remote_world.pipeline, [path], "canonical", Console(file=io.StringIO()), errors) == 0
    assert complained.getvalue() == f"replaced 1 file(s) that nobody had looked into: turns-{DAY}.jsonl\n"
    assert store.cat(f"calls/landing/canonical/turns-{DAY}.jsonl") == _turns("c")


def test_an_object_that_was_replaced_meanwhile_is_not_mended_over(
    remote_world: World, store: Any, tmp_path: Path
) -> None:
    place, out = f"calls/landing/canonical/turns-{DAY}.jsonl", tmp_path / "refused.jsonl"
    store.pipe(place, _turns("a") + b'{"session_id": "b"}\n')
    remote_world.look()
    remote_world.run(DAY)
    pipeline, said = remote_world.pipeline, Console(file=StringIO(), width=200)
    quarantine.export(pipeline, quarantine.refused(pipeline, None, None, None, None), out, said)
    store.pipe(place, _turns("a", "b"))
    assert quarantine.put_back(pipeline, out, said, said) == 1
    assert "is no longer the file that was exported" in said.file.getvalue()
    assert store.cat(place) == _turns("a", "b")


def test_a_store_that_did_not_take_a_retired_day_forgets_the_person_at_the_second_try(
    remote_world: World, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody refines such a day again, so what the erasure does not push, nobody does."""
    world = remote_world
    store.pipe(f"calls/landing/canonical/turns-{DAY}.jsonl", _turns("a", "b"))
    world.look()
    world.run(DAY)
    object.__setattr__(world.settings, "keep_landing_days", 1)
    assert retention.carry_out(world.pipeline, retention.plan(world.pipeline), lambda _: None) == {}
    assert store.find("calls/landing") == []

    push, said = Remote.push, Console(file=StringIO(), width=200)

    def refuses(remote: Remote, paths: Iterable[Path]) -> None:
        if remote.url.endswith("/lake"):
            raise StoreError(f"{remote.url}: refused")
        push(remote, paths)

    def erase() -> int:
        return privacy.erase(world.pipeline, "user of a", said, said, lambda _: True)

    with monkeypatch.context() as patched:
        patched.setattr(Remote, "push", refuses)
        with pytest.raises(StoreError, match="run the same command again"):
            erase()
    assert erase() == 0, said.file.getvalue()
    with store.open(f"calls/lake/turns/date={DAY}/rows.parquet", "rb") as file:
        rows = pq.read_table(file).to_pylist()
    assert {row["session_id"] for row in rows} == {"b"}
    local = LakeDay(world.settings.lake, "turns", DAY)
    for path in local.paths:
        assert store.cat(f"calls/lake/{path.relative_to(world.settings.lake)}") == path.read_bytes()
    assert world.certified() == {DAY: 1}
