"""A folder and its object store stay in step; over real HTTP, against a local S3 server."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from voiceai_assets.lake import inbox
from voiceai_assets.lake import remote as remote_module
from voiceai_assets.lake.remote import Remote, StoreError, forget_left_out


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

    forget_left_out(local)  # landing lies on no store any more
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


# -- objects that may not be read, and pulls that end before their end -------------------------------------------------


class _Failing(Remote):
    """A store that gives some objects to nobody."""

    failures: ClassVar[dict[str, Exception]] = {}

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        files, root = super()._opened
        for method in ("get_file", "cat_file"):
            setattr(files, method, self._unless_it_fails(getattr(files, method)))
        return files, root

    def _unless_it_fails(self, method: Any) -> Any:
        def of(path: str, *args: Any, **kwargs: Any) -> Any:
            for end, error in self.failures.items():
                if path.endswith(end):
                    raise error
            return method(path, *args, **kwargs)

        return of


DENIED = PermissionError("Access Denied")
NO_KEY = OSError(errno.EIO, "arn:aws:kms:key/1 is disabled.")


def _failing(store: Any, local: Path, **failures: Exception) -> Remote:
    remote = _Failing(f"s3://{store[1]}/landing", local)
    remote.failures.clear()
    remote.failures.update(failures)
    return remote


@pytest.mark.parametrize("error", [DENIED, NO_KEY])
def test_an_object_that_may_not_be_read_holds_up_no_other_and_is_named(
    store: Any, tmp_path: Path, error: Exception
) -> None:
    local = tmp_path / "landing"
    objects = {"canonical/a.jsonl": b"a", "canonical/b 0788123456.jsonl": b"b", "canonical/c.jsonl": b"c"}
    _put(store, **objects)
    for _ in range(2):
        _failing(store, local, **{"b 0788123456.jsonl": error}).pull()
        assert _landed(local) == ["canonical/a.jsonl", "canonical/c.jsonl"]
        [said] = inbox.left_aside(local)
        assert said.startswith("canonical/b [PHONE].jsonl: an object that its store does not let us read (")
        assert str(error) in said
        assert said.endswith("restore it from its archive, or delete it")
        with pytest.raises(OSError, match="does not let us read"):  # who looks for somebody must not miss any
            list(inbox.scan(local))
    assert said in inbox.refresh(local, {}, timezone="UTC", quiet_seconds=0).problems()
    mine = local / "canonical/b 0788123456.jsonl"
    mine.write_bytes(b"mine")
    with pytest.raises(StoreError, match="not replaced"):
        _failing(store, local).push([mine])
    mine.unlink()

    _failing(store, local).pull()
    assert _landed(local) == sorted(objects)
    assert not inbox.listed(local)[1].refused


def test_what_was_read_of_an_object_before_stays_until_it_goes(store: Any, tmp_path: Path) -> None:
    local = tmp_path / "landing"
    _put(store, **{"canonical/a.jsonl": b"a", "canonical/b.jsonl": b"b"})
    _failing(store, local).pull()
    known = {file.path: file for file in inbox.refresh(local, {}, timezone="UTC", quiet_seconds=0).fresh}
    _put(store, **{"canonical/b.jsonl": b"another b"})
    for _ in range(2):
        _failing(store, local, **{"b.jsonl": DENIED}).pull()
        assert (local / "canonical/b.jsonl").read_bytes() == b"b"
        assert len(inbox.left_aside(local)) == 1
        found = inbox.refresh(local, known, timezone="UTC", quiet_seconds=0)
        assert (found.fresh, found.gone) == ([], [])
    forget_left_out(local)  # landing lies on no store any more
    assert inbox.left_aside(local) == []

    store[0].call_s3("delete_object", Bucket=store[1], Key="landing/canonical/b.jsonl")
    _failing(store, local).pull()
    assert _landed(local) == ["canonical/a.jsonl"]
    assert inbox.left_aside(local) == []


@pytest.mark.parametrize(
    "failures",
    [
        {".jsonl": ConnectionError("nobody there")},
        {".jsonl": DENIED},
        {"b.jsonl": OSError(errno.ENOSPC, "No space left on device")},
    ],
    ids=["down", "all refused", "full disk"],
)
def test_what_is_no_single_objects_fault_ends_the_pull(
    store: Any, tmp_path: Path, failures: dict[str, Exception]
) -> None:
    _put(store, **{"a.jsonl": b"a", "b.jsonl": b"b"})
    with pytest.raises(StoreError, match=f"s3://{store[1]}/landing: .*{next(iter(failures.values())).args[-1]}"):
        _failing(store, tmp_path / "landing", **failures).pull()


def test_what_an_interrupted_pull_had_fetched_is_not_fetched_again_and_goes_with_its_object(
    store: Any, tmp_path: Path
) -> None:
    local = tmp_path / "landing"
    _put(store, **{"a.jsonl": b"a", "b.jsonl": b"b", "c.jsonl": b"c"})
    with pytest.raises(StoreError):
        _failing(store, local, **{"c.jsonl": OSError(errno.ENOSPC, "full")}).pull()
    assert _landed(local) == ["a.jsonl", "b.jsonl"]
    before = (local / "a.jsonl").stat().st_ino
    store[0].call_s3("delete_object", Bucket=store[1], Key="landing/b.jsonl")
    _failing(store, local).pull()
    assert _landed(local) == ["a.jsonl", "c.jsonl"]
    assert (local / "a.jsonl").stat().st_ino == before, "it was here"


def test_what_a_killed_pull_had_fetched_goes_with_its_object(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "landing"
    _put(store, **{"a.jsonl": b"a", "b.jsonl": b"b"})
    wrote = remote_module._remember
    written: list[Any] = []

    def only_once(folder: Path, tags: Any) -> None:
        written.append(tags)
        if len(written) == 1:
            wrote(folder, tags)

    with monkeypatch.context() as killed:  # a killed process says nothing at its end
        killed.setattr(remote_module, "_remember", only_once)
        _failing(store, local).pull()
    assert _landed(local) == ["a.jsonl", "b.jsonl"]
    store[0].call_s3("delete_object", Bucket=store[1], Key="landing/b.jsonl")
    _failing(store, local).pull()
    assert _landed(local) == ["a.jsonl"]


def test_a_store_that_cannot_be_reached_says_its_address(store: Any, tmp_path: Path, monkeypatch: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StoreError, match="s3://nowhere/landing"):
        Remote("s3://nowhere/landing", tmp_path / "landing").pull()
    assert not list(tmp_path.rglob("*.*"))
