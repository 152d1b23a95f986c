"""An exported file as ``voiceai quarantine --mend`` reads it, and a store that does not take it. No server."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from fsspec.implementations.local import LocalFileSystem
from rich.console import Console

from voiceai_assets.cli import quarantine
from voiceai_assets.cli.quarantine import corrections_of
from voiceai_assets.lake.indexing import sha256_of
from voiceai_assets.lake.remote import STATE, Remote

if TYPE_CHECKING:
    from voiceai_assets.pipeline import Pipeline

EXPORTED: dict[str, Any] = {"file": "canonical/a.jsonl", "line": 7, "file_sha256": "f" * 64}


@pytest.mark.parametrize("record", ["", "plain", "a\u2028b", "a\x85b", "it said \\u2029"])
def test_a_record_is_read_as_it_was_written_whatever_ends_a_line_elsewhere(tmp_path: Path, record: str) -> None:
    export = tmp_path / "refused.jsonl"
    export.write_text(json.dumps({**EXPORTED, "record": record}, ensure_ascii=False) + "\n")
    assert corrections_of(export) == {("canonical/a.jsonl", "f" * 64): {7: record}}


@pytest.mark.parametrize("record", [None, 1, {"session_id": "s"}])
def test_a_correction_that_is_no_text_is_refused_by_its_line(tmp_path: Path, record: object) -> None:
    export = tmp_path / "refused.jsonl"
    export.write_text("\n" + json.dumps({**EXPORTED, "record": record}) + "\n")
    with pytest.raises(ValueError, match="line 2 is no exported record"):
        corrections_of(export)


class _Landing:
    """What the command needs of a pipeline: landing as the local copy of a store, and nobody who looks into it."""

    def __init__(self, home: Path, store: Path) -> None:
        self.settings = SimpleNamespace(home=home, landing=home / "landing")
        self.landing_store = Remote(f"file://{store}", self.settings.landing)

    def look_into_landing(self, **_: object) -> Any:
        self.landing_store.pull()
        return SimpleNamespace(fresh=[])


def _put_back(landing: _Landing, export: Path) -> tuple[int, str]:
    words = io.StringIO()
    console = Console(file=words, width=400)
    return quarantine.put_back(cast("Pipeline", landing), export, console, console), words.getvalue()


@pytest.mark.parametrize("fault", [OSError("the store is full"), KeyboardInterrupt()], ids=["refused", "killed"])
def test_what_a_store_does_not_take_is_not_mended_and_is_at_the_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """A copy that was mended alone would never be brought in step, and another mend would refuse it."""
    place, old = tmp_path / "store" / "canonical" / "a.jsonl", b'{"a": 1}\n{"a": 2\n'
    place.parent.mkdir(parents=True)
    place.write_bytes(old)
    landing, export = _Landing(tmp_path / "home", tmp_path / "store"), tmp_path / "refused.jsonl"
    sha256 = sha256_of(place)
    export.write_text(
        json.dumps({"file": "canonical/a.jsonl", "line": 2, "file_sha256": sha256, "record": '{"a": 2}'}) + "\n"
    )

    def refuses(*_: object) -> None:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(LocalFileSystem, "put_file", refuses)
        if isinstance(fault, OSError):
            status, words = _put_back(landing, export)
            assert status == 1
            assert "not mended: canonical/a.jsonl: the store does not take it" in words
            assert "the store is full" in words
            assert "Run the same command again" in words
        else:
            with pytest.raises(KeyboardInterrupt):
                _put_back(landing, export)
    here = landing.settings.landing / "canonical" / "a.jsonl"
    assert (here.read_bytes(), place.read_bytes()) == (old, old)

    status, words = _put_back(landing, export)
    assert (status, words) == (0, "mended 1 record(s) of canonical/a.jsonl\n")
    mended = b'{"a": 1}\n{"a": 2}\n'
    assert (here.read_bytes(), place.read_bytes()) == (mended, mended)
    assert {p.name for p in landing.settings.landing.iterdir()} == {"canonical", STATE}, "nothing is left lying"
    assert [p.read_bytes() for p in (landing.settings.home / "replaced").iterdir()] == [old]
