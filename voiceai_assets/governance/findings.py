"""What a verification says: differences that need an answer, and remarks that explain themselves. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """Something that is not as the evidence says.

    Attributes:
        place: table, file or ledger, as a person would look for it.
        day: ISO day, or None where it concerns the whole installation.
        text: what exactly differs.
        is_difference: False for a remark, such as a file that retention removed.
    """

    place: str
    day: str | None
    text: str
    is_difference: bool = True

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "day": self.day,
            "place": self.place,
            "text": self.text,
            "kind": "difference" if self.is_difference else "remark",
        }


def remark(place: str, day: str | None, text: str) -> Finding:
    """Something worth knowing that nobody has to answer for."""
    return Finding(place, day, text, is_difference=False)
