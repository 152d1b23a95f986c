"""Identifiers in texts: one pattern that DuckDB, Arrow and PostgreSQL all understand, and taking them out.

Belongs here: what counts as a find. Does not belong here: where is searched (``lake.erasure``, ``warehouse.erasure``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from voiceai_assets.privacy.tombstones import is_telling

GONE = "[ERASED]"
#: An identifier stands alone: ``s1`` is not found in ``s1-b``, which is somebody else's session.
_INSIDE = "A-Za-z0-9_-"
#: As JSON writes what may stand before it: the letter is none.
_ESCAPED = r"\\[bfnrt]|\\u[0-9A-Fa-f]{4}"
_BEFORE = rf"(?:(?<![{_INSIDE}])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{{4}}))"  # the same for Python, which looks behind
#: PostgreSQL calls a pattern of thousands of alternatives too complex.
_PER_PATTERN = 200


class Needles:
    """Identifiers that must not be anywhere.

    Short ones (``7``, ``yes``) are left out: in a text they say nothing, and would be found for ever. Records are
    looked for by field as well, where an identifier may be as short as it likes.
    """

    def __init__(self, identifiers: Iterable[str]) -> None:
        self.all = frozenset(identifiers)
        self.telling = tuple(sorted(filter(is_telling, self.all)))

    def may_be_in(self, content: bytes) -> bool:
        """Whether any of them, short ones too, can be found, alone or inside something longer."""
        return any(spelling.encode() in content for one in self.all for spelling in _spellings(one))

    def is_in_name(self, name: str) -> bool:
        """Whether the name of a file holds one; names are joined by dashes and underscores."""
        return any(re.search(f"(?<![A-Za-z0-9]){re.escape(one)}(?![A-Za-z0-9])", name) for one in self.telling)

    def patterns(self) -> Iterator[str]:
        """Regular expressions for RE2 and for PostgreSQL, which between them match any of the identifiers."""
        for start in range(0, len(self.telling), _PER_PATTERN):
            spellings = sorted({s for one in self.telling[start : start + _PER_PATTERN] for s in _spellings(one)})
            yield f"(^|[^{_INSIDE}]|{_ESCAPED})({'|'.join(map(re.escape, spellings))})([^{_INSIDE}]|$)"

    def scrubbed(self, text: str) -> str:
        """The text without them; a JSON document stays one."""
        if text[:1] not in {"{", "["}:
            return self._without(text)
        try:
            document = json.loads(text)
        except ValueError:
            return self._without(text)
        return json.dumps(self._walk(document), ensure_ascii=False, separators=(",", ":"))

    def _walk(self, value: Any) -> Any:
        match value:
            case str():
                return self.scrubbed(value)  # Dagster puts documents into texts of documents
            case bool() | None:
                return value
            case int():
                return GONE if str(value) in self.telling else value
            case list():
                return [self._walk(item) for item in value]
            case dict():
                return {self._without(key): self._walk(item) for key, item in value.items()}
            case _:
                return value

    def _without(self, text: str) -> str:
        for identifier in self.telling:
            if identifier in text:  # a hundred times quicker than a pattern that does not match
                text = re.sub(f"{_BEFORE}{re.escape(identifier)}(?![{_INSIDE}])", GONE, text)
        return text


def _spellings(identifier: str) -> set[str]:
    """As it stands, and as JSON and CSV escape it."""
    return {
        identifier,
        json.dumps(identifier)[1:-1],
        json.dumps(identifier, ensure_ascii=False)[1:-1],
        identifier.replace('"', '""'),
    }
