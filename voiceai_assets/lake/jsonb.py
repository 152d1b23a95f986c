"""JSON that PostgreSQL's jsonb takes: a single value that it refuses would stop the COPY of a whole day.

Belongs here: what DuckDB reads as JSON and jsonb does not. Does not belong here: redaction, types of columns.
"""

from __future__ import annotations

import json
import math
import re

import pyarrow as pa
import pyarrow.compute as pc

_MOST_BRACKETS = 500  # jsonb takes some thousand levels; Python reads a thousand
#: NaN and Infinity by any of their names, numbers beyond numeric (1e400000, or ten thousand digits), trailing commas.
_NO_JSONB = r"(?i)[:\[,\s]-?(?:nan|inf)|[0-9]e[+-]?[0-9]{4}|[0-9]{1000}|,\s*[\]}]"
_HUGE = re.compile(r"(?i).*e[+-]?\d{4,}|-?\d{1000,}.*")


def unstorable(texts: pa.Array) -> pa.Array:
    """Mask of the documents that jsonb might refuse, and of some that it takes.

    Args:
        texts: JSON, shape (n,), without nulls.

    Returns:
        Booleans, shape (n,).
    """
    brackets = pc.add(pc.count_substring(texts, "["), pc.count_substring(texts, "{"))
    return pc.or_(pc.match_substring_regex(texts, _NO_JSONB), pc.greater(brackets, _MOST_BRACKETS))


def storable_json(text: str) -> str:
    """The document with text in place of the numbers that jsonb does not know.

    One that is nested too deeply, or that only DuckDB takes for JSON, becomes the text of a member ``_unreadable``.
    """
    try:
        return json.dumps(json.loads(text, parse_constant=str, parse_float=_float, parse_int=_int), ensure_ascii=False)
    except (ValueError, RecursionError):
        return json.dumps({"_unreadable": text}, ensure_ascii=False)


def _float(number: str) -> float | str:
    value = float(number)
    return number if _HUGE.fullmatch(number) or not math.isfinite(value) else value  # 1e999 is too much for a double


def _int(number: str) -> int | str:
    return number if _HUGE.fullmatch(number) else int(number)
