"""An exported file as ``voiceai quarantine --mend`` reads it. No server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from voiceai_assets.cli.quarantine import corrections_of

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
