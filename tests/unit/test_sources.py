"""How long the slowest source may be silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from voiceai_assets import sources


@pytest.mark.parametrize(
    ("timeouts", "longest"), [(("", ""), 30), (("10", ""), 30), (("", "120"), 120), (("45", "120"), 120)]
)
def test_whatever_waits_waits_for_the_slowest_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeouts: tuple[str, str], longest: int
) -> None:
    seed = tmp_path / "sources.csv"
    lines = [f"{name},{minutes}" for name, minutes in zip(("calls", "texts"), timeouts, strict=True)]
    seed.write_text("\n".join(["source,session_timeout_minutes", *lines]) + "\n")
    monkeypatch.setattr(sources, "SOURCES", seed)
    sources._timeouts.cache_clear()
    try:
        assert sources.longest_timeout_minutes(30) == longest
    finally:
        sources._timeouts.cache_clear()
