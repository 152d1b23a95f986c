"""Values that DuckDB takes for JSON and jsonb does not: each would stop the COPY of a day."""

from __future__ import annotations

import json

import pytest

from voiceai_assets.lake.jsonb import storable_json


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e400000", "9" * 5000])
def test_a_number_that_no_double_holds_becomes_text(number: str) -> None:
    stored = storable_json(f'{{"note": "see information", "x": {number}}}')

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(stored, parse_constant=refuse) == {"note": "see information", "x": number}
