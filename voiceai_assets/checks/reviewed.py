"""What people decide about checks, as reviewed files beside the suites: tolerances, incidents, waivers.

Belongs here: reading them strictly. Does not belong here: what follows (``gate`` for waivers, ``suites`` for
tolerances, ``measured`` for incidents).

Each entry bears a reason and an owner, because in a year somebody will ask. A file with a mistake is an error that
names the file, the entry and the key: a waiver that is silently not read would block a day, one that is read wrongly
would let one through.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from voiceai_assets.settings import REPOSITORY
from voiceai_assets.yaml_files import read_yaml

SUITES_FOLDER = REPOSITORY / "expectations"
WAIVERS = SUITES_FOLDER / "waivers.yaml"


class ReviewedFileError(ValueError):
    """A reviewed file cannot be used; the message names the file, the entry and the key."""


@dataclass(frozen=True)
class Tolerance:
    """How much of a thing is accepted of a source (``*``: of any other), and who says so."""

    rule: str
    source: str
    value: float
    reason: str
    owner: str


@dataclass(frozen=True)
class Incident:
    """Days that are no measure for others: they stay out of every baseline."""

    first: date
    last: date
    reason: str
    owner: str


@dataclass(frozen=True)
class Waiver:
    """A data owner's word that days may be certified in spite of a check that failed.

    Attributes:
        until: last day on which the word holds; a judgement after it blocks again.
    """

    first: date
    last: date
    check: str
    reason: str
    owner: str
    until: date


def read_tolerances(path: Path) -> tuple[Tolerance, ...]:
    """Every tolerance of a file.

    Raises:
        ReviewedFileError: for anything that is not exactly a list of tolerances.
    """
    found = []
    for place, entry in _entries(path):
        _keys(place, entry, {"rule", "source", "value", "reason", "owner"})
        value = entry["value"]
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ReviewedFileError(f"{place}: value must be a number of at least 0, not {value!r}")
        texts = {key: _text(place, entry, key) for key in ("rule", "source", "reason", "owner")}
        found.append(Tolerance(value=float(value), **texts))
    named = [(t.rule, t.source) for t in found]
    if twice := {name for name in named if named.count(name) > 1}:
        raise ReviewedFileError(f"{path}: rule and source stand twice: {sorted(twice)}")
    return tuple(found)


def read_incidents(path: Path) -> tuple[Incident, ...]:
    """Every incident of a file.

    Raises:
        ReviewedFileError: for anything that is not exactly a list of incidents.
    """
    found = []
    for place, entry in _entries(path):
        _keys(place, entry, {"days", "reason", "owner"})
        first, last = _days(place, entry)
        found.append(Incident(first, last, _text(place, entry, "reason"), _text(place, entry, "owner")))
    return tuple(found)


def read_waivers(path: Path) -> tuple[Waiver, ...]:
    """Every waiver of a file.

    Raises:
        ReviewedFileError: for anything that is not exactly a list of waivers.
    """
    found = []
    for place, entry in _entries(path):
        _keys(place, entry, {"days", "check", "reason", "owner", "until"})
        first, last = _days(place, entry)
        texts = {key: _text(place, entry, key) for key in ("check", "reason", "owner")}
        if "." not in texts["check"]:
            raise ReviewedFileError(f"{place}: check must name one rule of one suite (suite.rule): {texts['check']!r}")
        found.append(Waiver(first, last, until=_date(place, entry["until"], "until"), **texts))
    return tuple(found)


@functools.cache
def tolerances() -> tuple[Tolerance, ...]:
    """The tolerances of this revision."""
    return read_tolerances(SUITES_FOLDER / "tolerances.yaml")


@functools.cache
def incidents() -> tuple[Incident, ...]:
    """The incidents of this revision."""
    return read_incidents(SUITES_FOLDER / "incidents.yaml")


def waivers() -> tuple[Waiver, ...]:
    """The waivers, in force or not; read anew when the file changed, so that a new one needs no restart."""
    return _waivers(WAIVERS, WAIVERS.stat().st_mtime_ns if WAIVERS.exists() else 0)


@functools.lru_cache(maxsize=4)
def _waivers(path: Path, _changed: int) -> tuple[Waiver, ...]:
    return read_waivers(path)


def _entries(path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """Each entry with its place in words; no file and an empty file hold none."""
    try:
        found = read_yaml(path) if path.exists() else None
    except yaml.YAMLError as error:
        raise ReviewedFileError(f"{path} is not YAML: {error}") from error
    if found is None:
        return []
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise ReviewedFileError(f"{path} must hold a list")
    places = [(f"{path}, entry {number}", entry) for number, entry in enumerate(found, 1)]
    for place, entry in places:
        if not isinstance(entry, Mapping):
            raise ReviewedFileError(f"{place}: must hold keys and values, not {entry!r}")
    return places


def _keys(place: str, entry: Mapping[str, Any], wanted: set[str]) -> None:
    if missing := sorted(wanted - entry.keys()):
        raise ReviewedFileError(f"{place}: key {missing[0]} is missing")
    if unknown := sorted(map(str, entry.keys() - wanted)):
        raise ReviewedFileError(f"{place}: key {unknown[0]} is not known")


def _text(place: str, entry: Mapping[str, Any], key: str) -> str:
    value = entry[key]
    if not isinstance(value, str) or not value.strip():
        raise ReviewedFileError(f"{place}: {key} must be a text, not {value!r}")
    return " ".join(value.split())


def _date(place: str, value: Any, key: str) -> date:
    # a datetime is a date in Python, but "until noon" is not what a waiver can say
    if type(value) is not date:
        raise ReviewedFileError(f"{place}: {key} must be a day (YYYY-MM-DD, without quotes), not {value!r}")
    return value


def _days(place: str, entry: Mapping[str, Any]) -> tuple[date, date]:
    """One day, or the first and the last one."""
    value = entry["days"]
    both = value if isinstance(value, list) else [value, value]
    if len(both) != 2:
        raise ReviewedFileError(f"{place}: days must be one day, or the first and the last one, not {value!r}")
    first, last = (_date(place, day, "days") for day in both)
    if first > last:
        raise ReviewedFileError(f"{place}: days end before they start: {first}, {last}")
    return first, last
