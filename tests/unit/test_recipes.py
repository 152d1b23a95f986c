"""The recipes are followed as they stand in the documentation."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

from tests.unit.reading import read
from voiceai_assets.adapters.base import Adapter
from voiceai_assets.settings import REPOSITORY


def _adapter_of_the_recipe() -> Adapter:
    text = (REPOSITORY / "docs" / "recipes.md").read_text()
    section = text.split("## Add a source in half an hour")[1].split("\n## ")[0]
    code = re.search(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert code is not None
    scope: dict[str, Any] = {}
    exec(re.sub(r"^   ", "", code.group(1), flags=re.MULTILINE), scope)
    adapter = scope["ADAPTER"]
    assert isinstance(adapter, Adapter)
    return adapter


def test_the_source_of_the_recipe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "calls-2026-08.csv"
    path.write_text(
        "call_uuid,seq,started,msisdn,side,latency_s,queue\n"
        "c1,1,2026-08-01T10:00:00Z,+250788000001,caller,,north\n"
        "c1,2,2026-08-01T10:00:04Z,+250788000001,bot,1.25,north\n"
        "c2,one,2026-08-01T11:00:00Z,,caller,,\n"
    )
    found = read(_adapter_of_the_recipe(), path)["turns"]
    assert [(r["speaker"], r["turn_date"], r["total_ms"], r["extra"]) for r in found.rows] == [
        ("user", date(2026, 8, 1), None, '{"queue":"north"}'),
        ("agent", date(2026, 8, 1), 1250.0, '{"queue":"north"}'),
    ]
    assert [(r["line"], r["reason"]) for r in found.refused] == [(4, "wrong_type")]
