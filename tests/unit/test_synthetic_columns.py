"""Columns of generated files, spelled: what is looked up, glued and joined is what Python would have written."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest

from voiceai_assets.synthetic.columns import Coded, Group, Table, Whole, digits, instants, json_lines


def test_a_group_of_which_nothing_is_known_is_still_a_row() -> None:
    """Arrow's joining drops a row of nothing but nulls, and all rows below would move up."""
    outcomes: Table = {
        "outcome": Coded(("completed",), np.array([-1, 0])),
        "reason": Coded(("asked",), np.array([-1, -1])),
    }
    table: Table = {
        "number": Whole(np.arange(3)),
        "ending": Group(outcomes, np.array([0, 1, 0])),
        "last": Whole(3 - np.arange(3)),
    }
    lines = "".join(text for piece in json_lines(table) for text in piece.to_pylist()).splitlines()
    assert [json.loads(line) for line in lines] == [
        {"number": 0, "last": 3},
        {"number": 1, "outcome": "completed", "last": 2},
        {"number": 2, "last": 1},
    ]


@pytest.mark.parametrize("width", [1, 3, 4, 5, 8])
def test_digits_are_those_of_the_number(width: int) -> None:
    values = np.array([0, 1, 9, 10**width // 7, 10**width - 1])
    assert [row.tobytes().decode() for row in digits(values, width)] == [f"{value:0{width}}" for value in values]


def test_an_instant_after_midnight_is_of_the_next_day() -> None:
    found = instants(date(2026, 2, 28), np.array([0, 86_399_999, 86_400_000 + 3_723_004]))
    assert [row.tobytes().decode() for row in found] == [
        "2026-02-28T00:00:00.000Z",
        "2026-02-28T23:59:59.999Z",
        "2026-03-01T01:02:03.004Z",
    ]
