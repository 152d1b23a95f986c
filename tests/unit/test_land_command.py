"""``voiceai land``: what a copy that is stopped leaves behind. No server."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from voiceai_assets.cli import landing


def test_a_copy_that_is_stopped_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_source: Path, draft: Path) -> None:
        draft.write_text("half")
        raise KeyboardInterrupt

    (tmp_path / "calls.jsonl").write_text("{}\n")
    monkeypatch.setattr(landing.shutil, "copy2", stopped)
    with pytest.raises(KeyboardInterrupt):
        landing._copy([(tmp_path / "calls.jsonl", tmp_path / "landing" / "calls.jsonl")], Console())
    assert not list((tmp_path / "landing").iterdir())
