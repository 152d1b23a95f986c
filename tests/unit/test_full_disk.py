"""A disk that is full when a day is written: it is said so, and the next day is none the worse."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from tests.unit.test_reading_order import land, lines
from voiceai_assets.lake.abreast import refine_abreast
from voiceai_assets.lake.inbox import refresh
from voiceai_assets.lake.parquet import rewrite
from voiceai_assets.lake.refine import Refinery
from voiceai_assets.privacy.pseudonyms import Pseudonymiser

ROWS = 200_000  # several row groups: some are still to come when the first one does not fit


def fill_disk_of(path: Path) -> None:
    """Have what is written for this file end on a device without any space."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f".{path.name}.{os.getpid()}").symlink_to("/dev/full")


def test_the_connection_takes_other_questions_after_a_write_that_failed(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    fill_disk_of(path)
    with duckdb.connect() as db:
        with pytest.raises(OSError, match="No space left") as held:
            rewrite(db, f"SELECT range AS n, md5(range::VARCHAR) AS text FROM range({ROWS})", path)
        assert db.execute("SELECT 1").fetchall() == [(1,)]
        assert held.value.errno is not None, "whoever holds the error holds what its frames hold"
    assert list(tmp_path.iterdir()) == []


def test_a_day_that_does_not_fit_onto_the_disk_stops_no_other(tmp_path: Path) -> None:
    days = ["2026-05-01", "2026-05-02"]
    land(tmp_path, lines(days, ROWS))
    lake = tmp_path / "lake"
    files = refresh(tmp_path / "landing", {}, timezone="UTC", quiet_seconds=0).fresh

    def make(share: object) -> Refinery:
        refinery = Refinery(tmp_path / "landing", lake, "UTC", Pseudonymiser(b"k" * 32), days)
        fill_disk_of(lake / "turns" / f"date={days[0]}" / "rows.parquet")
        return refinery

    (_, none, problem), (_, loads, fine) = refine_abreast(days, files, make)
    assert none == []
    assert isinstance(problem, OSError)
    assert "No space left" in str(problem)
    assert fine is None
    assert sum(load.rows_loaded for load in loads) == ROWS // 2
