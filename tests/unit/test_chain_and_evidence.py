"""Certificates alone, and certificates against ledgers: a clean case and a planted defect for each comparison."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from voiceai_assets.governance.chain import Certificate, chain_findings, chain_head
from voiceai_assets.governance.evidence import Ledgers, evidence_findings

DAY = "2026-08-01"
AT = datetime(2026, 9, 1, 12, tzinfo=UTC)


def _chain(count: int) -> list[Certificate]:
    made: list[Certificate] = []
    for n in range(count):
        body = json.dumps({"day": DAY, "n": n})
        name = hashlib.sha256(body.encode()).hexdigest()
        before = made[-1] if made else None
        link = hashlib.sha256(f"{before.chain_sha256 if before else ''}{name}".encode()).hexdigest()
        made.append(Certificate(name, DAY, body, before.certificate_id if before else None, link))
    return made


def test_an_untouched_chain_has_no_finding_in_whatever_order_it_is_read() -> None:
    assert chain_findings(_chain(4), []) == []
    assert chain_findings(list(reversed(_chain(4))), []) == []
    assert chain_findings([], []) == []


def test_a_changed_body_is_named() -> None:
    chain = _chain(3)
    chain[1] = replace(chain[1], body=chain[1].body.replace("1}", "7}"))
    (found,) = chain_findings(chain, [])
    assert chain[1].certificate_id[:12] in found.text
    assert found.is_difference


def test_a_body_that_an_erasure_changed_is_a_remark_and_only_then() -> None:
    chain = _chain(2)
    chain[0] = replace(chain[0], body="{}", redacted_at=AT)
    (found,) = chain_findings(chain, [(AT.replace(hour=11), AT.replace(hour=13))])
    assert not found.is_difference
    assert "erasure" in found.text
    (claimed,) = chain_findings(chain, [(AT.replace(hour=13), AT.replace(hour=14))])
    assert claimed.is_difference, "no erasure was at work when the body was changed"


def test_a_broken_link_a_fork_and_a_loose_certificate_are_named() -> None:
    chain = _chain(3)
    broken = [chain[0], replace(chain[1], chain_sha256="0" * 64), chain[2]]
    (link,) = chain_findings(broken, [])
    assert "link" in link.text
    assert chain[1].certificate_id[:12] in link.text
    forked = [chain[0], chain[1], replace(chain[2], previous_id=chain[0].certificate_id)]
    assert any("2 certificates follow" in f.text for f in chain_findings(forked, []))
    loose = [chain[0], chain[2]]
    assert any("no chain leads to it" in f.text for f in chain_findings(loose, []))


def test_the_head_is_the_end_and_changes_with_every_certificate() -> None:
    chain = _chain(3)
    assert chain_head(chain) == chain[-1].chain_sha256
    assert chain_head(chain[:2]) == chain[1].chain_sha256
    assert chain_head([]) is None


FILE = {"file": "canonical/a.jsonl", "sha256": "aa", "size_bytes": 9, "rows_in": 3, "rows_loaded": 3}
LOAD = {
    "dataset": "turns", "load_id": "l1", "code_version": "v", "rows_in": 3, "rows_loaded": 3, "rows_quarantined": 0,
    "rows_duplicate": 0, "inputs": [FILE],
}  # fmt: skip
CHECK = {
    "asset": "raw/turns", "check_name": "plausible.range", "load_id": "l1", "suite_version": "s1", "status": "passed",
    "severity": "critical", "observed": {"element_count": 3}, "expected": {"type": "x"},
}  # fmt: skip
BODY: dict[str, Any] = {
    "day": DAY,
    "status": "certified",
    "warnings": [],
    "loads": [LOAD],
    "checks": [CHECK],
    "marts": {"m": {"load_id": "k", "rows": 1, "content_sha256": "c"}},
}
PUBLICATION = {
    "mart": "m", "version": 1, "certificate_id": "id", "load_id": "k", "row_count": 1, "content_sha256": "c",
    "is_live": True,
}  # fmt: skip


def _ledgers() -> dict[str, Any]:
    return copy.deepcopy(
        {
            "loads": [{**LOAD, "is_live": True}],
            "checks": [CHECK],
            "publications": [PUBLICATION],
            "verdict": {"status": "certified", "reasons": []},
        }
    )


def test_ledgers_that_say_what_was_certified_have_no_finding() -> None:
    assert evidence_findings(DAY, "id", BODY, Ledgers(**_ledgers())) == []


TAMPERED: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("governance.loads", lambda at: at["loads"][0].update(rows_loaded=4)),
    ("governance.loads", lambda at: at.update(loads=[])),
    ("governance.load_files", lambda at: at["loads"][0]["inputs"][0].update(sha256="bb")),
    ("governance.load_files", lambda at: at["loads"][0].update(inputs=[])),
    ("governance.load_files", lambda at: at["loads"][0]["inputs"].append({**FILE, "file": "canonical/b.jsonl"})),
    ("governance.quality_results", lambda at: at["checks"][0].update(status="failed")),
    ("governance.quality_results", lambda at: at["checks"][0].update(observed={"element_count": 4})),
    ("governance.quality_results", lambda at: at.update(checks=[])),
    ("governance.publications", lambda at: at["publications"][0].update(content_sha256="d")),
    ("governance.publications", lambda at: at["publications"][0].update(row_count=2)),
    ("governance.publications", lambda at: at["publications"][0].update(mart="n")),
    ("governance.publications", lambda at: at["publications"].append({**PUBLICATION, "version": 2, "is_live": False})),
    ("governance.verdicts", lambda at: at["verdict"].update(status="certified with warnings")),
    ("governance.verdicts", lambda at: at.update(verdict=None)),
]


@pytest.mark.parametrize(("place", "tamper"), TAMPERED, ids=[f"{n} {place}" for n, (place, _) in enumerate(TAMPERED)])
def test_each_ledger_row_that_was_changed_is_found_in_its_place(
    place: str, tamper: Callable[[dict[str, Any]], Any]
) -> None:
    ledgers = _ledgers()
    tamper(ledgers)
    found = evidence_findings(DAY, "id", BODY, Ledgers(**ledgers))
    assert {f.place for f in found if f.is_difference} == {place}
    assert {f.day for f in found} == {DAY}


def test_another_version_of_a_suite_is_a_remark() -> None:
    ledgers = _ledgers()
    ledgers["checks"][0].update(suite_version="s2", status="failed")
    (found,) = evidence_findings(DAY, "id", BODY, Ledgers(**ledgers))
    assert not found.is_difference


def test_a_certificate_of_another_day_is_refused() -> None:
    (found,) = evidence_findings("2026-08-02", "id", BODY, Ledgers(**_ledgers()))
    assert found.place == "governance.certificates"
