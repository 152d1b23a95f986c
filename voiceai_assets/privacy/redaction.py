r"""Redaction of free text: DuckDB expressions for columns (a million rows), Python for the odd JSON document.

What is recognised: e-mail addresses and runs of eight or more digits (also written with spaces, dots, dashes or
brackets), which covers phone numbers, card numbers and national ids. Names and spoken digits are not: until they are,
no free text is ever published (see docs/concepts.md), and this module must not be taken for anonymisation.
"""

from __future__ import annotations

import json
import re
from typing import Any

EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"
DIGIT_RUN = r"\+?\d(?:[ ().\-]{0,2}\d){7,}"


#: a JSON member that names a person; its value may be cut off at the end of a truncated record
PERSON_MEMBER = r'("(?:user_id|phone_number)"\s*:\s*)("[^"]*"?|[0-9]+)'
_EMAIL = re.compile(EMAIL)
_DIGIT_RUN = re.compile(DIGIT_RUN)
_LONGEST_PLAIN_INTEGER = 10**7


def redacted(expression: str) -> str:
    """DuckDB SQL that redacts the text of ``expression``; null stays null.

    The tests in front spare most rows the two replacements, which were the hot spot of loading.
    """
    return (
        f"CASE WHEN contains({expression}, '@') OR regexp_matches({expression}, '{DIGIT_RUN}') "
        f"THEN regexp_replace(regexp_replace({expression}, '{EMAIL}', '[EMAIL]', 'g'), '{DIGIT_RUN}', '[NUMBER]', 'g') "
        f"ELSE {expression} END"
    )


def redacted_record(expression: str) -> str:
    """DuckDB SQL that redacts a whole refused record: its text, and the values under keys that name a person."""
    named = f"regexp_replace({expression}, '{PERSON_MEMBER}', '\\1\"[USER]\"', 'g')"
    return redacted(named)


def redacted_text(text: str) -> str:
    """The same for one Python string."""
    return _DIGIT_RUN.sub("[NUMBER]", _EMAIL.sub("[EMAIL]", text))


def redacted_json(document: str) -> str:
    """A JSON document with every string, key and long integer redacted; fractions are measurements and stay."""
    return json.dumps(_walk(json.loads(document)), ensure_ascii=False, separators=(",", ":"))


def _walk(value: Any) -> Any:
    match value:
        case str():
            return redacted_text(value)
        case bool():
            return value
        case int() if abs(value) >= _LONGEST_PLAIN_INTEGER:
            return "[NUMBER]"
        case list():
            return [_walk(item) for item in value]
        case dict():
            return {redacted_text(key): _walk(item) for key, item in value.items()}
        case _:
            return value


def suspicious(e):
    return f"(contains({e}, '@') OR regexp_matches({e}, '{DIGIT_RUN}'))"
def redact(text): return redacted_text(text)
def redact_record(t):
    return redacted_text(re.sub(PERSON_MEMBER, r'\1"[USER]"', t))
def redact_json(d): return redacted_json(d)
