"""What the gate must say, as a table that can be asked of any gate: the real one, and broken copies of it.

Belongs here: cases. Does not belong here: why (``test_gate``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from types import ModuleType
from typing import Any

from voiceai_assets.checks.reviewed import Waiver
from voiceai_assets.checks.suites import Rule, Suite

LOAD, SUITE, DAY, TODAY = "load-1", "suite-1", "2026-08-01", date(2026, 8, 10)
WAIVER = Waiver(date(2026, 8, 1), date(2026, 8, 2), "s.rule", "known and harmless", "team:x", date(2026, 8, 31))


@dataclass(frozen=True)
class Case:
    """A name in words, what is asked of a gate, and what it must answer."""

    name: str
    ask: Callable[[ModuleType], Any]
    expected: Any


def _status(
    severity: str = "critical",
    results: tuple[tuple[str, str, str, str], ...] = (("raw/turns", "s.rule", LOAD, SUITE),),
    status: str = "passed",
    load_id: str | None = LOAD,
    waivers: tuple[Waiver, ...] = (),
    today: date = TODAY,
) -> Callable[[ModuleType], Any]:
    def ask(gate: ModuleType) -> Any:
        demanded = [gate.Demand("raw/turns", "s.rule", severity, SUITE, load_id, "it holds", "mend it")]
        recorded = [gate.Recorded(*key, status) for key in results]
        verdict = gate.decide(demanded, recorded, gate.in_force(waivers, DAY, today))
        return str(verdict.status), verdict.is_bad_data

    return ask


def _suite(dataset: str) -> Suite:
    rule = Rule("rule", "expect_column_values_to_be_null", {"column": "x"}, "critical", "it holds", "why", "mend")
    return Suite("s", ("raw", dataset), dataset, f"raw.{dataset}", "day", "doc", (rule,), "v")


def _demanded(dataset: str, **load_ids: str | None) -> Callable[[ModuleType], Any]:
    return lambda gate: [d.load_id for d in gate.demands([_suite(dataset)], load_ids)]


CERTIFIED, WARNED = ("certified", False), ("certified with warnings", False)
BLOCKED, COULD_NOT, NOT_JUDGED = ("blocked", True), ("blocked", False), ("not judged", False)

CASES = (
    Case("a pass certifies", _status(), CERTIFIED),
    Case("a broken critical rule blocks", _status(status="failed"), BLOCKED),
    Case("a broken warning certifies with warnings", _status("warning", status="failed"), WARNED),
    Case("could not check blocks and is not bad data", _status(status="error"), COULD_NOT),
    Case("a warning that could not be checked blocks", _status("warning", status="error"), COULD_NOT),
    Case("no result at all", _status(results=()), NOT_JUDGED),
    Case("a warning without result", _status("warning", results=()), NOT_JUDGED),
    Case("a pass of another load", _status(results=(("raw/turns", "s.rule", "load-0", SUITE),)), NOT_JUDGED),
    Case("a pass of another suite version", _status(results=(("raw/turns", "s.rule", LOAD, "suite-0"),)), NOT_JUDGED),
    Case("a pass of another asset", _status(results=(("marts/x", "s.rule", LOAD, SUITE),)), NOT_JUDGED),
    Case("a pass of another rule", _status(results=(("raw/turns", "s.other", LOAD, SUITE),)), NOT_JUDGED),
    Case("nothing is loaded", _status(load_id=None), NOT_JUDGED),
    Case("nothing is demanded", lambda gate: str(gate.decide([], []).status), "not judged"),
    Case("a waived failure certifies with warnings", _status(status="failed", waivers=(WAIVER,)), WARNED),
    Case("on its last day a waiver holds", _status(status="failed", waivers=(WAIVER,), today=WAIVER.until), WARNED),
    Case(
        "a waiver that has ended blocks again",
        _status(status="failed", waivers=(WAIVER,), today=date(2026, 9, 1)),
        BLOCKED,
    ),
    Case(
        "a waiver of another check",
        _status(status="failed", waivers=(replace(WAIVER, check="s.other"),)),
        BLOCKED,
    ),
    Case(
        "a waiver of later days",
        _status(status="failed", waivers=(replace(WAIVER, first=date(2026, 8, 2)),)),
        BLOCKED,
    ),
    Case(
        "a waiver of earlier days",
        _status(status="failed", waivers=(replace(WAIVER, first=date(2026, 7, 1), last=date(2026, 7, 31)),)),
        BLOCKED,
    ),
    Case("could not check cannot be waived", _status(status="error", waivers=(WAIVER,)), COULD_NOT),
    Case("a missing result cannot be waived", _status(results=(), waivers=(WAIVER,)), NOT_JUDGED),
    Case("what is not loaded cannot be waived", _status(load_id=None, waivers=(WAIVER,)), NOT_JUDGED),
    Case("a waiver of what passed says nothing", _status(waivers=(WAIVER,)), CERTIFIED),
    Case("turns are demanded even if they are not loaded", _demanded("turns", turns=None), [None]),
    Case("a dataset that the day has is demanded", _demanded("calls", calls="load-7"), ["load-7"]),
    Case("a dataset that the day has nothing of is not demanded", _demanded("calls", turns="load-1"), []),
)


def wrong_answers(gate: ModuleType) -> list[str]:
    """Names of the cases that a gate answers wrongly; one that raises answers wrongly."""
    wrong = []
    for case in CASES:
        try:
            found = case.ask(gate)
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            found = error
        if found != case.expected:
            wrong.append(case.name)
    return wrong
