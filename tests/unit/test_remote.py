"""A folder and its object store stay in step; over real HTTP, against a local S3 server."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from voiceai_assets.lake import inbox
from voiceai_assets.lake.remote import Remote, StoreError, forget_unplaced


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """An S3 file system with a bucket of its own, named after the test's folder."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    files = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    bucket = "".join(c if c.isalnum() else "-" for c in tmp_path.name.lower()).strip("-")[:60]
    files.mkdir(bucket)
    return files, bucket


def test_what_lands_in_the_store_lands_here_and_what_goes_there_goes_here(store: Any, tmp_path: Path) -> None:
    files, bucket = store
    local = tmp_path / "landing"
    remote = Remote(f"s3://{bucket}/landing", local)
    remote.pull()
    assert not list(local.rglob("*.jsonl"))

    files.pipe(f"{bucket}/landing/canonical/a.jsonl", b"one")
    files.pipe(f"{bucket}/landing/irembo/deep/b.csv", b"two")
    remote.pull()
    assert (local / "canonical/a.jsonl").read_bytes() == b"one"
    assert (local / "irembo/deep/b.csv").read_bytes() == b"two"

    before = (local / "irembo/deep/b.csv").stat()
    files.pipe(f"{bucket}/landing/canonical/a.jsonl", b"1")
    remote.pull()
    assert (local / "canonical/a.jsonl").read_bytes() == b"1"
    assert (local / "irembo/deep/b.csv").stat().st_ino == before.st_ino, "an unchanged file is not fetched again"

    files.rm_file(f"{bucket}/landing/canonical/a.jsonl")
    (local / "canonical" / "mine.jsonl").write_bytes(b"never in the store")
    remote.pull()
    assert [p.name for p in (local / "canonical").iterdir()] == ["mine.jsonl"]


def test_what_is_pushed_is_there_for_others(store: Any, tmp_path: Path) -> None:
    _, bucket = store
    one = Remote(f"s3://{bucket}/lake", tmp_path / "one")
    other = Remote(f"s3://{bucket}/lake", tmp_path / "other")
    path = tmp_path / "one" / "turns" / "date=2026-08-01" / "rows.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1")
    one.push([path])
    there = tmp_path / "other" / "turns" / "date=2026-08-01" / "rows.parquet"
    other.fetch([there, there.with_name("absent.parquet")])
    assert there.read_bytes() == b"PAR1"
    path.unlink()
    one.push([path])
    other.pull()
    assert not one._files.exists(f"{bucket}/lake/turns/date=2026-08-01/rows.parquet")


@pytest.mark.parametrize("name", ["../outside.jsonl", "canonical/../../outside.jsonl", ".remote.json", "a/.hidden"])
def test_an_objects_name_cannot_lead_out_of_the_folder(store: Any, tmp_path: Path, name: str) -> None:
    files, bucket = store
    local = tmp_path / "deep" / "landing"
    files.call_s3("put_object", Bucket=bucket, Key=f"landing/{name}", Body=b"evil")
    Remote(f"s3://{bucket}/landing", local).pull()
    found = [p for p in tmp_path.rglob("*") if p.is_file() and p.read_bytes() == b"evil"]
    assert found == []


def _put(store: Any, **objects: bytes) -> None:
    """Objects under their very keys, which fsspec's own calls would make paths of."""
    files, bucket = store
    for name, body in objects.items():
        files.call_s3("put_object", Bucket=bucket, Key=f"landing/{name}", Body=body)


def _landed(local: Path) -> list[str]:
    return sorted(p.relative_to(local).as_posix() for p in local.rglob("*") if p.is_file() and p.name[0] != ".")


def test_an_empty_folder_of_the_stores_console_is_no_file(store: Any, tmp_path: Path) -> None:
    local = tmp_path / "landing"
    remote = Remote(f"s3://{store[1]}/landing", local)
    _put(store, **{"": b"", "canonical/": b"", "canonical/a.jsonl": b"a", "irembo/": b""})
    for _ in range(2):
        remote.pull()
        assert _landed(local) == ["canonical/a.jsonl"]
        assert not (local / "irembo").is_file()
    assert inbox.left_aside(local) == []


@pytest.mark.parametrize(
    "name",
    [
        "canonical/a.jsonl",  # the folder of another
        f"canonical/{'n' * 256}.jsonl",
        f"canonical/{'n' * 256}/b.jsonl",
        "canonical//b.jsonl",  # as a path, the same as b.jsonl
        "canonical/./b.jsonl",
        "canonical/../canonical/b.jsonl",
        "/canonical/b.jsonl",
        "canonical/full/",
    ],
)
def test_an_object_that_cannot_be_a_file_is_left_out_and_named(store: Any, tmp_path: Path, name: str) -> None:
    local = tmp_path / "landing"
    _put(store, **{"canonical/a.jsonl/part.jsonl": b"part", "canonical/b.jsonl": b"b", name: b"left out"})
    remote = Remote(f"s3://{store[1]}/landing", local)
    for _ in range(2):
        remote.pull()
        assert _landed(local) == ["canonical/a.jsonl/part.jsonl", "canonical/b.jsonl"]
        assert (local / "canonical/b.jsonl").read_bytes() == b"b"
        [said] = inbox.left_aside(local)
        assert said.startswith(f"{name}: ")
        assert said.endswith("; rename it")
    found = inbox.refresh(local, {}, timezone="UTC", quiet_seconds=0)
    assert len(found.fresh) == 2
    assert said in found.problems()
    with pytest.raises(OSError, match="rename it"):  # who looks for somebody's records must not miss any
        list(inbox.scan(local))

    forget_unplaced(local)  # landing lies on no store any more
    assert inbox.left_aside(local) == []
    assert len(list(inbox.scan(local))) == 2
    remote.pull()
    assert inbox.left_aside(local) == [said]

    store[0].call_s3("delete_object", Bucket=store[1], Key=f"landing/{name}")
    remote.pull()
    assert _landed(local) == ["canonical/a.jsonl/part.jsonl", "canonical/b.jsonl"]
    assert inbox.left_aside(local) == []


def test_an_object_whose_name_is_as_long_as_a_files_can_be_lands(store: Any, tmp_path: Path) -> None:
    name = f"canonical/{'n' * 249}.jsonl"
    _put(store, **{name: b"long"})
    Remote(f"s3://{store[1]}/landing", tmp_path / "landing").pull()
    assert (tmp_path / "landing" / name).read_bytes() == b"long"


def test_a_folder_may_take_the_name_of_a_file_that_went_and_a_file_a_folders(store: Any, tmp_path: Path) -> None:
    files, bucket = store
    local = tmp_path / "landing"
    remote = Remote(f"s3://{bucket}/landing", local)
    for here, gone in [("x", "x/y/z"), ("x/y/z", "x"), ("x", "x/y/z")]:
        files.call_s3("delete_object", Bucket=bucket, Key=f"landing/{gone}")
        _put(store, **{here: b"x"})
        remote.pull()
        assert _landed(local) == [here]
        assert inbox.left_aside(local) == []


def test_an_object_whose_place_a_local_folder_takes_is_left_out_and_named(store: Any, tmp_path: Path) -> None:
    local = tmp_path / "landing"
    (local / "a.jsonl").mkdir(parents=True)
    (local / "a.jsonl" / "mine.jsonl").write_bytes(b"never in the store")
    (local / "b").write_bytes(b"never in the store")
    _put(store, **{"a.jsonl": b"a", "b/b.jsonl": b"b", "c.jsonl": b"c"})
    Remote(f"s3://{store[1]}/landing", local).pull()
    assert _landed(local) == ["a.jsonl/mine.jsonl", "b", "c.jsonl"]
    assert [said.split(":")[0] for said in inbox.left_aside(local)] == ["a.jsonl", "b/b.jsonl"]


def test_a_store_that_cannot_be_reached_says_its_address(store: Any, tmp_path: Path, monkeypatch: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StoreError, match="s3://nowhere/landing"):
        Remote("s3://nowhere/landing", tmp_path / "landing").pull()
    assert not list(tmp_path.rglob("*.*"))
