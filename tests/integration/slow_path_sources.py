"""Files of the sources whose sessions follow from their turns alone, as rows of canonical turns.

Belongs here: reading, a record at a time, with ``csv`` and ``json``. Does not belong here: figures (``slow_path``).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]
_WHOLE = ("asr_ms", "llm_ms", "tts_ms", "total_ms", "tokens_in", "tokens_out")


def lines_of(paths: Iterable[Path]) -> Iterator[Row]:
    """Records of JSON lines."""
    return (json.loads(line) for path in paths for line in path.read_text().splitlines())


def canonical(paths: Iterable[Path]) -> list[Row]:
    """Turns, each once: what was delivered twice is the same turn."""
    return list({(row["session_id"], row["turn_number"], row["speaker"]): row for row in lines_of(paths)}.values())


def bakame(paths: Iterable[Path]) -> list[Row]:
    """Turns with what was measured of them, which stands in a row of its own, of the same call and turn."""
    rows: list[Row] = []
    for path in paths:
        with path.open(newline="") as lines:
            rows += [{name: value or None for name, value in row.items()} for row in csv.DictReader(lines)]
    measured = {_turn(row): row for row in rows if row["interaction_type"] == "turn_metrics"}
    return [
        {
            "session_id": row["session_id"],
            "turn_number": int(row["turn"]),
            "timestamp": row["timestamp"],
            "user_id": row["phone_number"],
            "channel": row["interaction_type"],
            "module": row["module_name"],
            **_measures(measured.get(_turn(row), {})),
        }
        for row in rows
        if row["interaction_type"] != "turn_metrics"
    ]


def _turn(row: Row) -> tuple[Any, ...]:
    return row["session_id"], row["call_id"], row["turn"]


def _measures(row: Row) -> Row:
    confidence = row.get("asr_confidence")
    return {
        **{name: int(row[name]) if row.get(name) else None for name in _WHOLE},
        "asr_confidence": float(confidence) if confidence else None,
        "error": row.get("error"),
    }


def converza(paths: Iterable[Path]) -> list[Row]:
    """What agent and customer say in turn; every turn has the time of the call."""
    rows = []
    for call in lines_of(paths):
        said = re.findall(r"\b(Agent|Customer): ", call["transcript_text"])
        rows += [
            {
                "session_id": call["call_id"],
                "turn_number": number,
                "timestamp": call["timestamp"],
                "user_id": call["customer_number"],
                "agent_name": call["agent_name"],
                "speaker": {"Agent": "agent", "Customer": "user"}[who],
            }
            for number, who in enumerate(said, start=1)
        ]
    return rows
