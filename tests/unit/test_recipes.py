"""The recipes are followed as they stand in the documentation."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.unit.reading import read
from voiceai_assets.adapters.base import Adapter
from voiceai_assets.settings import REPOSITORY


def _code_of_the_recipe() -> str:
    text = (REPOSITORY / "docs" / "recipes.md").read_text()
    section = text.split("## Add a source in half an hour")[1].split("\n## ")[0]
    code = re.search(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert code is not None
    return re.sub(r"^   ", "", code.group(1), flags=re.MULTILINE)


def _adapter_of_the_recipe() -> Adapter:
    scope: dict[str, Any] = {}
    exec(_code_of_the_recipe(), scope)
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


def test_a_value_that_the_recipe_cannot_map_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "calls-2026-08.csv"
    path.write_text(
        "call_uuid,seq,started,side,latency_s\nc1,1,2026-08-01T10:00:00Z,IVR,abc\nc1,2,2026-08-01T10:00:04Z,,0.2\n"
    )
    bad, good = read(_adapter_of_the_recipe(), path)["turns"].rows
    assert (bad["total_ms"], bad["invalid_fields"]) == (None, ["total_ms"])
    assert json.loads(bad["extra"]) == {"_invalid": {"total_ms": "abc"}}
    assert (good["total_ms"], good["invalid_fields"]) == (200.0, None)
    assert (bad["speaker"], good["speaker"]) == ("IVR", "exchange"), "as given, and the default"


@pytest.mark.parametrize("check", [("check",), ("format", "--diff")], ids=" ".join)
def test_the_file_of_the_recipe_passes_make_check(check: tuple[str, ...]) -> None:
    ruff = [sys.executable, "-m", "ruff", *check, "--stdin-filename", "voiceai_assets/adapters/acme.py", "-"]
    found = subprocess.run(
        ruff, input=_code_of_the_recipe(), cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
