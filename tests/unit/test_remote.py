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

from voiceai_assets.lake.remote import Remote, StoreError


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


def test_a_store_that_cannot_be_reached_says_its_address(store: Any, tmp_path: Path, monkeypatch: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StoreError, match="s3://nowhere/landing"):
        Remote("s3://nowhere/landing", tmp_path / "landing").pull()
    assert not list(tmp_path.rglob("*.*"))
