"""A certificate against the ledgers: every load, check and publication must still say what was certified. Pure.

Belongs here: comparing documents. Does not belong here: reading them (``verify``), rows (``recount``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voiceai_assets.checks.suites import MEASURED
from voiceai_assets.governance.findings import Finding, remark

_COUNTS = ("code_version", "rows_in", "rows_loaded", "rows_quarantined", "rows_duplicate")
_VERDICT = ("status", "severity", "observed", "expected")
CERTIFIED = ("certified", "certified with warnings")


@dataclass(frozen=True)
class Ledgers:
    """What the ledgers say of a day now.

    Attributes:
        loads: every load of the day, live or not; ``inputs`` with the account of each file where it is live.
        checks: every result of the day.
        publications: every version of the day.
        verdict: the last word on the day, or None.
    """

    loads: Sequence[Mapping[str, Any]] = ()
    checks: Sequence[Mapping[str, Any]] = ()
    publications: Sequence[Mapping[str, Any]] = ()
    verdict: Mapping[str, Any] | None = field(default=None)


def evidence_findings(day: str, certificate_id: str, body: Mapping[str, Any], ledgers: Ledgers) -> list[Finding]:
    """Where the ledgers contradict a certificate of the day; with its file accounts only where its loads are live."""
    if body.get("day") != day:
        text = f"certificate {certificate_id[:12]} speaks of {body.get('day')}, it is filed under {day}"
        return [Finding("governance.certificates", day, text)]
    found = _loads(day, body, ledgers) + _checks(day, body, ledgers)
    found += _publications(day, certificate_id, body, ledgers)
    is_live = any(p["certificate_id"] == certificate_id and p["is_live"] for p in ledgers.publications)
    return found + (_verdict(day, body, ledgers.verdict) if is_live else [])


def _loads(day: str, body: Mapping[str, Any], ledgers: Ledgers) -> list[Finding]:
    now = {(load["dataset"], load["load_id"]): load for load in ledgers.loads}
    found = []
    for load in body.get("loads", []):
        name = f"{load['dataset']} {load['load_id']}"
        row = now.get((load["dataset"], load["load_id"]))
        if row is None:
            found.append(Finding("governance.loads", day, f"load {name} was certified and is not in the ledger"))
            continue
        found += [
            Finding("governance.loads", day, f"load {name}: {key} is {row[key]}, certified was {load[key]}")
            for key in _COUNTS
            if key in load and row[key] != load[key]
        ]
        if load["dataset"] != "marts":
            found += _files(day, name, load.get("inputs", []), row)
    return found


def _files(day: str, load: str, certified: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> list[Finding]:
    place = "governance.load_files" if row["is_live"] else "governance.loads"
    now = {file["file"]: file for file in row["inputs"]}
    found = []
    for file in certified:
        other = now.pop(file["file"], None)
        if other is None:
            found.append(Finding(place, day, f"load {load}: file {file['file']} was certified and is not there"))
            continue
        found += [
            Finding(place, day, f"load {load}, file {file['file']}: {key} is {other[key]}, certified was {value}")
            for key, value in file.items()
            if key in other and other[key] != value
        ]
    return found + [Finding(place, day, f"load {load}: file {name} is there and was not certified") for name in now]


def _checks(day: str, body: Mapping[str, Any], ledgers: Ledgers) -> list[Finding]:
    place = "governance.quality_results"
    now = {(c["asset"], c["check_name"], c["load_id"]): c for c in ledgers.checks}
    found = []
    for check in body.get("checks", []):
        name = f"{check['asset']} {check['check_name']}"
        row = now.get((check["asset"], check["check_name"], check["load_id"]))
        if row is None:
            found.append(Finding(place, day, f"{name} was certified and is not in the ledger"))
        elif row["suite_version"] != check["suite_version"]:
            found.append(remark(place, day, f"{name} was checked again since, under another version of its suite"))
        else:
            found += [
                Finding(place, day, f"{name}: {key} is {row[key]}, certified was {check[key]}")
                for key in _VERDICT
                if row[key] != check[key] and not _speaks_of_the_past(check, key)
            ]
    return found


def _speaks_of_the_past(check: Mapping[str, Any], key: str) -> bool:
    """What a rule on the usual was held against grows with every day; that it passed, or not, must stay."""
    return key == "observed" and (check["expected"] or {}).get("type") in MEASURED


def _publications(day: str, certificate_id: str, body: Mapping[str, Any], ledgers: Ledgers) -> list[Finding]:
    place = "governance.publications"
    marts = body.get("marts", {})
    newest: dict[str, int] = {}
    for row in ledgers.publications:
        newest[row["mart"]] = max(newest.get(row["mart"], 0), row["version"])
    found = []
    for row in ledgers.publications:
        if row["certificate_id"] != certificate_id:
            continue
        name = f"{row['mart']} version {row['version']}"
        mart = marts.get(row["mart"])
        if mart is None:
            found.append(Finding(place, day, f"{name} points at a certificate that does not speak of it"))
            continue
        said = {"load_id": mart["load_id"], "row_count": mart["rows"], "content_sha256": mart["content_sha256"]}
        found += [
            Finding(place, day, f"{name}: {key} is {row[key]}, certified was {value}")
            for key, value in said.items()
            if row[key] != value
        ]
        if row["is_live"] and row["version"] != newest[row["mart"]]:
            found.append(Finding(place, day, f"{name} is live, but version {newest[row['mart']]} is the newest"))
    present = {row["mart"] for row in ledgers.publications if row["certificate_id"] == certificate_id}
    if present:
        missing = sorted(marts.keys() - present)
        found += [Finding(place, day, f"{mart} was certified and has no publication") for mart in missing]
    return found


def _verdict(day: str, body: Mapping[str, Any], verdict: Mapping[str, Any] | None) -> list[Finding]:
    place = "governance.verdicts"
    if verdict is None:
        return [Finding(place, day, "the day is published and has no verdict")]
    if verdict["status"] not in CERTIFIED:
        return []  # an error or a check in the middle of a run: the gate's recount says whether that is right
    if (verdict["status"], list(verdict["reasons"])) != (body.get("status"), body.get("warnings", [])):
        text = f"the verdict is {verdict['status']!r}, certified was {body.get('status')!r}"
        more = "" if verdict["status"] != body.get("status") else " with other warnings"
        return [Finding(place, day, text + more)]
    return []
