"""Where the partitions start."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from voiceai_assets.partitions import first_day, remember_first_day
from voiceai_assets.settings import Settings


def test_whoever_is_stopped_while_the_start_moves_leaves_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    assert remember_first_day(settings, ["2026-08-02"])
    writing = Path.write_text

    def stopped(path: Path, text: str) -> int:
        writing(path, "")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", stopped)
    with pytest.raises(KeyboardInterrupt):
        remember_first_day(settings, ["2026-08-01"])
    assert first_day(settings) == date(2026, 8, 2)
