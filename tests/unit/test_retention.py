"""Which landed files retention deletes when it comes to it: those that were planned. No server, no tables."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from voiceai_assets import retention
from voiceai_assets.automation.retention import Retirement
from voiceai_assets.lake.inbox import scan
from voiceai_assets.lake.indexing import IndexedFile, index_files

if TYPE_CHECKING:
    from voiceai_assets.pipeline import Pipeline

DAY, OTHER = "2026-08-01", "2026-08-02"
A, B, C = f"canonical/a-{DAY}.jsonl", f"canonical/b-{DAY}.jsonl", f"canonical/c-{OTHER}.jsonl"


def _write(landing: Path, path: str, *, turns: int = 1) -> None:
    day = OTHER if OTHER in path else DAY
    rows = [{"session_id": path, "turn_number": n, "timestamp": f"{day}T10:00:00"} for n in range(1, turns + 1)]
    (landing / path).parent.mkdir(parents=True, exist_ok=True)
    (landing / path).write_text("".join(json.dumps(row) + "\n" for row in rows))


class _Loaded:
    """What retention needs of a pipeline: files in landing, indexed and loaded as they lay there."""

    landing_store = None

    def __init__(self, home: Path) -> None:
        self.settings = SimpleNamespace(home=home, landing=home / "landing")
        self.warehouse = SimpleNamespace(connect=lambda **_: nullcontext())
        for path in (A, B, C):
            _write(self.settings.landing, path)
        self.indexed = index_files(self.settings.landing, list(scan(self.settings.landing)), "UTC")
        self.retired: list[str] = []

    def files(self) -> list[IndexedFile]:
        return self.indexed

    def input_fingerprints(self) -> dict[str, str]:
        return {DAY: "as loaded", OTHER: "as loaded", "2026-09-01": "not loaded as this"}

    def loaded_fingerprints(self) -> dict[str, str]:
        return {DAY: "as loaded", OTHER: "as loaded"}

    def booked(self, _: object) -> set[tuple[str, str, str, str]]:
        return {("turns", day, f.path, f.sha256) for f in self.indexed for day in f.days}

    def held_key(self) -> nullcontext[None]:
        return nullcontext()

    @property
    def left(self) -> list[str]:
        return [stat.path for stat in sorted(scan(self.settings.landing))]


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Loaded:
    made = _Loaded(tmp_path)
    monkeypatch.setattr(retention.ledger, "booked_files", made.booked)
    monkeypatch.setattr(retention.ledger, "retire_files", lambda _, paths: made.retired.extend(paths))
    return made


PLANNED = retention.Plan("2026-09-01", None, Retirement((A, B, C)))


def _carried_out(loaded: _Loaded, on_step: object = lambda _: None) -> dict[str, str]:
    return retention.carry_out(cast("Pipeline", loaded), PLANNED, on_step)  # type: ignore[arg-type]


def test_what_was_planned_goes(loaded: _Loaded) -> None:
    assert _carried_out(loaded) == {}
    assert (loaded.left, loaded.retired) == ([], [A, B, C])


def test_a_file_that_was_landed_again_since_stays_with_those_of_its_day(loaded: _Loaded) -> None:
    """Nothing of the new one was loaded, and its day could not be made from it alone."""
    _write(loaded.settings.landing, A, turns=2)
    assert _carried_out(loaded) == {A: "not loaded as it lies there", B: f"{A} holds {DAY} too, and stays"}
    assert (loaded.left, loaded.retired) == ([A, B], [C]), "it is not remembered as retired either"


def test_a_file_that_was_indexed_again_since_and_is_not_old_any_more_stays(loaded: _Loaded) -> None:
    loaded.indexed = [
        replace(f, rows={"turns": {"2026-09-01": 1}}, home_day=None) if f.path == C else f for f in loaded.indexed
    ]
    assert _carried_out(loaded) == {C: "it has changed since it was looked at, and stays"}
    assert loaded.left == [C]


def test_a_file_that_changes_while_others_go_stays(loaded: _Loaded) -> None:
    def lands_again(path: str) -> None:
        if path == A:
            _write(loaded.settings.landing, C, turns=2)

    assert _carried_out(loaded, lands_again) == {C: "it has changed since it was looked at, and stays"}
    assert loaded.left == [C]


def test_a_file_that_is_gone_already_is_no_fault(loaded: _Loaded) -> None:
    (loaded.settings.landing / A).unlink()
    assert _carried_out(loaded) == {}
    assert (loaded.left, loaded.retired) == ([], [A, B, C])
