"""Days and ranges of days: what is known of them, whether they are certified, and why not. Pure.

Belongs here: reading a range out of an address, the computed badge, the reason of a day in words.
Does not belong here: SQL (``queries``), components (``parts``), figures (``figures``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode

import pandas as pd

CERTIFIED = ("certified", "certified with warnings")
DEFAULT_DAYS = 90
_MAX_QUERY = 512  # an address longer than this was not written by this page
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Level = Literal["certified", "warnings", "partial", "none"]


@dataclass(frozen=True)
class Period:
    """Days from ``start`` to ``end``, both included."""

    start: date
    end: date

    def __len__(self) -> int:
        return (self.end - self.start).days + 1

    def before(self) -> Period:
        """The period of equal length that ends the day before."""
        return Period(self.start - timedelta(days=len(self)), self.start - timedelta(days=1))

    def days(self) -> list[date]:
        """Every calendar day, known or not."""
        return [self.start + timedelta(days=i) for i in range(len(self))]

    def query(self) -> str:
        """As it stands in the address, with the question mark."""
        return "?" + urlencode({"from": self.start.isoformat(), "to": self.end.isoformat()})

    def __str__(self) -> str:
        return self.start.isoformat() if self.start == self.end else f"{self.start} to {self.end}"


@dataclass(frozen=True)
class Request:
    """What an address asks for; None where it says nothing that can be used."""

    start: date | None = None
    end: date | None = None


def parse_query(search: str | None) -> Request:
    """Read ``?from=YYYY-MM-DD&to=YYYY-MM-DD``; anything else in it is ignored, reversed dates are turned round."""
    if not search or len(search) > _MAX_QUERY:
        return Request()
    try:
        fields = parse_qs(search.removeprefix("?"), max_num_fields=20)
    except ValueError:
        return Request()
    return make_request(fields.get("from", [""])[0], fields.get("to", [""])[0])


def make_request(start: str, end: str) -> Request:
    """From two texts of unknown origin."""
    first, last = _day(start), _day(end)
    if first and last and first > last:
        first, last = last, first
    return Request(first, last)


def _day(text: str) -> date | None:
    if not _ISO_DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def resolve(request: Request, span: Period) -> Period | None:
    """The days to show: the request cut to the known span; without one, the span or its last 90 days.

    None when the request lies wholly outside the span. The cut also bounds the work that an address can ask for.
    """
    if request.start is None and request.end is None:
        return Period(max(span.start, span.end - timedelta(days=DEFAULT_DAYS - 1)), span.end)
    start = max(request.start or span.start, span.start)
    end = min(request.end or span.end, span.end)
    return Period(start, end) if start <= end else None


@dataclass(frozen=True)
class Day:
    """A row of ``certified.day_status``."""

    day: date
    landed_records: int
    rows_loaded: int
    rows_quarantined: int
    rows_duplicate: int
    status: str
    stale_because: str | None
    reasons: tuple[Mapping[str, Any], ...]
    certificate_id: str | None
    version: int | None
    published_at: datetime | None

    @property
    def is_certified(self) -> bool:
        """Whether the gate's last word on what is published today is yes."""
        return self.status in CERTIFIED

    @property
    def is_blocked(self) -> bool:
        """Whether a check stopped it, as opposed to: not looked at yet."""
        return self.status == "blocked"

    @property
    def counts(self) -> bool:
        """Whether rows of it are in the certified views, be it from an earlier version."""
        return self.certificate_id is not None

    def why(self) -> str:
        """First reason why it is not certified, or is so with warnings; empty for a plain pass."""
        if self.status == "stale" and self.stale_because:
            return self.stale_because
        if self.status != "certified" and self.reasons and self.reasons[0].get("text"):
            return str(self.reasons[0]["text"])
        return _WITHOUT_REASON.get(self.status, "")

    def mend(self) -> str:
        """What to do about it; empty where there is nothing to do."""
        if self.status == "certified":
            return ""
        if self.reasons and self.status not in ("stale", "not loaded", "not certified"):
            return str(self.reasons[0].get("mend") or "")
        return f"voiceai materialize --from {self.day}"


_WITHOUT_REASON = {
    "not loaded": "landed, but not loaded yet",
    "not certified": "loaded, but not judged or published yet",
    "not judged": "nothing to judge was loaded",
    "blocked": "blocked without a recorded reason",
    "stale": "changed since it was published",
}


def days_of(frame: pd.DataFrame) -> list[Day]:
    """Typed days out of ``queries``' frame of ``certified.day_status``."""
    return [
        Day(
            day=row["day"],
            landed_records=int(row["landed_records"]),
            rows_loaded=int(row["rows_loaded"]),
            rows_quarantined=int(row["rows_quarantined"]),
            rows_duplicate=int(row["rows_duplicate"]),
            status=row["status"] or "not judged",  # published before verdicts were kept
            stale_because=row["stale_because"],
            reasons=tuple(row["reasons"] or ()),
            certificate_id=row["certificate_id"],
            version=row["version"],
            published_at=row["published_at"],
        )
        for row in frame.to_dict("records")
    ]


@dataclass(frozen=True)
class Badge:
    """Whether a number over several days is certified, computed from those days."""

    text: str
    level: Level
    exceptions: tuple[Day, ...]

    def lines(self, limit: int = 8) -> list[str]:
        """The days that are not plainly certified, for people; the rest of a long list is counted."""
        shown = [
            f"{d.day} {d.status}{': ' if d.why() else ''}{shorten(d.why(), 120)}"
            + (f" (version {d.version} still counts)" if d.counts and not d.is_certified else "")
            for d in self.exceptions[:limit]
        ]
        left = len(self.exceptions) - len(shown)
        return [*shown, f"and {left} more, in the table of days"] if left > 0 else shown


def badge(days: Sequence[Day]) -> Badge:
    """Judge the known days of a range; one day that is not certified is enough to lose the word."""
    certified = sum(d.is_certified for d in days)
    exceptions = tuple(d for d in days if d.status != "certified")
    if not days:
        return Badge("no known day", "none", ())
    if certified < len(days):
        text = f"{certified} of {len(days)} {'day' if len(days) == 1 else 'days'} certified"
        return Badge(text, "partial" if certified else "none", tuple(d for d in exceptions if not d.is_certified))
    if exceptions:
        return Badge("certified with warnings", "warnings", exceptions)
    return Badge("certified", "certified", ())


def shorten(text: str, limit: int) -> str:
    """Cut a long text with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
