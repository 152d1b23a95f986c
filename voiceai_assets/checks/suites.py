"""The reviewed suites in ``expectations/``: reading them, naming them, fingerprinting them.

Belongs here: what is demanded of a table. Does not belong here: evaluating it (``expectations``), deciding (``gate``).
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from voiceai_assets.settings import REPOSITORY

SUITES_FOLDER = REPOSITORY / "expectations"
#: What suites judge, upstream first: all that was taken in for a day, its turns, its marts.
_ORDER = ("intake", "turns", "marts")
SEVERITIES = ("critical", "warning")


class SuiteError(ValueError):
    """A file in ``expectations/`` does not hold a suite; the message names the file and the key."""


@dataclass(frozen=True)
class Rule:
    """One expectation: what it demands, why, and how a failure is mended."""

    id: str
    type: str
    kwargs: dict[str, Any]
    severity: Literal["critical", "warning"]
    description: str
    why: str
    mend: str


@dataclass(frozen=True)
class Suite:
    """All expectations of one check on one table, evaluated per day."""

    suite: str
    asset: tuple[str, ...]
    dataset: str
    table: str
    day_column: str
    doc: str
    rules: tuple[Rule, ...]
    version: str

    @property
    def asset_name(self) -> str:
        """Asset key as ledgers spell it."""
        return "/".join(self.asset)

    def check_name(self, rule: Rule) -> str:
        """Name of one rule in the ledger."""
        return f"{self.suite}.{rule.id}"


def read_suite(path: Path) -> Suite:
    """Read one suite.

    Raises:
        SuiteError: for a missing or unknown key, an unknown severity or a rule that stands twice.
    """
    text = path.read_text()
    try:
        found = json.loads(text)
        rules = tuple(Rule(**rule) for rule in found.pop("expectations"))
        suite = Suite(
            **{**found, "asset": tuple(found["asset"])},
            rules=rules,
            version=hashlib.sha256(
                json.dumps([found, [r.__dict__ for r in rules]], sort_keys=True).encode()
            ).hexdigest()[:12],
        )
    except (TypeError, KeyError, json.JSONDecodeError) as error:
        raise SuiteError(f"{path} is not a suite: {error}") from error
    ids = [rule.id for rule in rules]
    if len(set(ids)) != len(ids):
        raise SuiteError(f"{path}: rule ids must be unique, found {ids}")
    if wrong := [rule.id for rule in rules if rule.severity not in SEVERITIES]:
        raise SuiteError(f"{path}: severity of {wrong} is none of {SEVERITIES}")
    if suite.dataset not in _ORDER:
        raise SuiteError(f"{path}: dataset is {suite.dataset!r}, none of {', '.join(_ORDER)}")
    if suite.suite != path.stem:
        raise SuiteError(f"{path}: suite is called {suite.suite!r}; the file's name must say the same")
    return suite


@functools.cache
def all_suites(folder: Path = SUITES_FOLDER) -> tuple[Suite, ...]:
    """Every suite, upstream first: what is broken in raw explains what is broken in the marts."""
    suites = (read_suite(path) for path in folder.glob("*.json"))
    return tuple(sorted(suites, key=lambda suite: (_ORDER.index(suite.dataset), suite.suite)))
