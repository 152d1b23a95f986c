"""The table of the gate's decisions notices whatever somebody might leave out of the gate.

Each mutation is made in the text of ``gate.py`` and loaded as a module of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.gate_table import CASES, wrong_answers
from voiceai_assets.checks import gate

SOURCE = Path(gate.__file__).read_text()
KEY, ASKED = (
    "(r.asset, r.check_name, r.load_id, r.suite_version)",
    ("(d.asset, d.check_name, d.load_id, d.suite_version)"),
)


def _without(field: str) -> list[tuple[str, str]]:
    """A gate that finds results whatever this part of their key is."""
    return [(key, key.replace(f"{key[1]}.{field}", "None")) for key in (KEY, ASKED)]


#: Name -> texts of gate.py and what they become.
MUTATIONS: dict[str, list[tuple[str, str]]] = {
    "ignores load_id": _without("load_id"),
    "ignores suite_version": _without("suite_version"),
    "ignores the asset": _without("asset"),
    "ignores the check's name": _without("check_name"),
    "ignores missing results": [("    if result is None:\n", "    if result is None:\n        return None\n")],
    "ignores what is not loaded": [
        ('absent = sorted({d.asset.split("/")[0] for d in demanded if d.load_id is None})', "absent = list[str]()")
    ],
    "certifies where nothing is demanded": [("if not demanded:", "if False:")],
    "takes critical for warning": [
        (
            'if any(r.kind == "error" or (r.kind == "failed" and r.severity == "critical") for r in reasons):',
            'if any(r.kind == "error" for r in reasons):',
        )
    ],
    "takes warning for critical": [
        (
            'if any(r.kind == "error" or (r.kind == "failed" and r.severity == "critical") for r in reasons):',
            'if any(r.kind in ("error", "failed") for r in reasons):',
        )
    ],
    "takes could-not-check for passed": [('elif result.status == "passed":', 'elif result.status != "failed":')],
    "takes could-not-check for bad data": [('elif result.status == "failed":', "elif True:")],
    "takes failed for passed": [('elif result.status == "passed":', 'elif result.status != "error":')],
    "publishes what is not judged": [('if any(r.kind == "missing" for r in reasons):', "if False:")],
    "ignores a waiver's end": [(" and today <= w.until]", "]")],
    "ends a waiver a day early": [("today <= w.until", "today < w.until")],
    "ignores a waiver's first day": [("w.first <= judged <= w.last", "judged <= w.last")],
    "ignores a waiver's last day": [("w.first <= judged <= w.last", "w.first <= judged")],
    "waives whatever check": [
        ("(waived or {}).get(d.check_name)", "next(iter((waived or {}).values()), None)"),
    ],
    "waives nothing": [("(waived or {}).get(d.check_name)", "None")],
    "waives what could not be checked": [
        ('elif result.status == "failed":', 'elif result.status == "failed" or waiver:'),
    ],
    "waives what is missing": [
        (
            "    if result is None:\n",
            "    if result is None and waiver:\n        return None\n    elif result is None:\n",
        )
    ],
    "takes a waived failure for bad data": [
        ('return any(r.kind == "failed" and', 'return any(r.kind in ("failed", "waived") and'),
    ],
    "demands only what is loaded": [("if is_asked(suite, load_ids)", "if load_ids.get(suite.dataset)")],
    "demands what the day has nothing of": [("if is_asked(suite, load_ids)", "if True")],
}


@pytest.fixture
def loaded() -> Iterator[list[str]]:
    """Names of modules that a test made, taken away after it."""
    names: list[str] = []
    yield names
    for name in names:
        sys.modules.pop(name, None)


def _mutant(texts: list[tuple[str, str]], loaded: list[str]) -> ModuleType:
    source = SOURCE
    for old, new in texts:
        assert source.count(old) == 1, f"gate.py changed: it must hold exactly once: {old}"
        source = source.replace(old, new)
    module = ModuleType("mutated_gate")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    loaded.append(module.__name__)
    exec(compile(source, "mutated_gate.py", "exec"), module.__dict__)  # our own source
    return module


def test_the_gate_answers_every_case(loaded: list[str]) -> None:
    assert wrong_answers(gate) == []
    assert wrong_answers(_mutant([], loaded)) == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_table_notices_a_gate_that(name: str, loaded: list[str]) -> None:
    assert wrong_answers(_mutant(MUTATIONS[name], loaded)), f"no case notices a gate that {name}"


def test_each_case_is_named_once() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
