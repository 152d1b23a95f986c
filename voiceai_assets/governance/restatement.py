"""Why a day was published again: the difference between two certificates, in words. Pure.

Belongs here: reasons. Does not belong here: which rows differ and who reads them (``warehouse.restatements``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Kinds of reasons, as the ledger spells them.
LATE, CHANGED, GONE = "late data", "changed data", "deleted data"
ERASURE, KEY, DEFINITION, CODE, CHECKS, NEIGHBOUR = (
    "erasure", "key", "new definition", "code", "checks", "neighbouring day",
)  # fmt: skip
_NAMES_SHOWN = 3


@dataclass(frozen=True)
class Reason:
    """One difference between two certificates of a day."""

    kind: str
    text: str

    def as_dict(self) -> dict[str, str]:
        """For the ledger."""
        return {"kind": self.kind, "text": self.text}


def reasons(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Reason]:
    """Everything in which the evidence for a day differs, what weighs most for a reader first."""
    found = [*_of_files(old, new), *_of_people(old, new), *_of_settings(old, new), *_of_definitions(old, new)]
    found += _of_code(old, new)
    if _suites(old) != _suites(new):
        changed = sorted(s for s in _suites(old) | _suites(new) if s not in _suites(old) & _suites(new))
        found.append(Reason(CHECKS, f"checks were changed: {_names({name for name, _ in changed})}"))
    if not found and _mart_loads(old) != _mart_loads(new):
        found.append(Reason(NEIGHBOUR, "a neighbouring day or a list that holds for this day arrived or changed"))
    return found or [Reason(CHECKS, "checks gave other results on the same data")]


def _of_files(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Reason]:
    """Files by sha256, never by name: a reason is shown to readers, and a name may hold somebody's number."""
    before, after = _files(old), _files(new)
    found = []
    if added := after.keys() - before.keys():
        records = sum(after[name].get("rows_in", 0) for name in added)
        found.append(Reason(LATE, f"{len(added)} file(s) arrived later, with {records:,} records"))
    if altered := {name for name in before.keys() & after.keys() if before[name]["sha256"] != after[name]["sha256"]}:
        shas = _names({after[name]["sha256"][:12] for name in altered})
        found.append(Reason(CHANGED, f"{len(altered)} file(s) arrived again with other content ({shas})"))
    if gone := before.keys() - after.keys():
        found.append(Reason(GONE, f"{len(gone)} file(s) are no longer in landing"))
    return found


def _of_people(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Reason]:
    more = _erased(new) - _erased(old)
    return [Reason(ERASURE, f"{more:,} record(s) of people who were forgotten left the day")] if more > 0 else []


def _of_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Reason]:
    before, after = old.get("settings", {}), new.get("settings", {})
    found = []
    if before and before.get("key_id") != after.get("key_id"):
        found.append(Reason(KEY, "people have other pseudonyms: the key was changed"))
    other = {name for name in before.keys() & after.keys() if before[name] != after[name]} - {"key_id"}
    if other:
        said = ", ".join(f"{name} {before[name]} -> {after[name]}" for name in sorted(other))
        found.append(Reason(CODE, f"settings were changed: {said}"))
    return found


def _of_definitions(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Reason]:
    before, after = old.get("definitions", {}), new.get("definitions", {})
    changed = {f"{name} v{version}" for name, version in after.items() if before.get(name) not in (None, version)}
    return [Reason(DEFINITION, f"new definition of {_names(changed)}")] if changed else []


def _of_code(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Reason]:
    before, after = old.get("code", {}), new.get("code", {})
    found = []
    if before.get("marts") != after.get("marts"):
        found.append(Reason(CODE, "models or reading rules were changed"))
    contracts = (_contracts(old), _contracts(new))
    if changed := {d for d in contracts[0].keys() & contracts[1].keys() if contracts[0][d] != contracts[1][d]}:
        found.append(Reason(CODE, f"contracts were changed: {_names(changed)}"))
    if not found and (before.get("revision"), before.get("lock")) != (after.get("revision"), after.get("lock")):
        found.append(Reason(CODE, f"revision {str(after.get('revision'))[:12]} of the code"))
    return found


def _files(body: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {
        (load["dataset"], file["file"]): file
        for load in body.get("loads", [])
        if load["dataset"] != "marts"
        for file in load.get("inputs", [])
    }


def _erased(body: Mapping[str, Any]) -> int:
    return sum(file.get("rows_erased", 0) for file in _files(body).values())


def _contracts(body: Mapping[str, Any]) -> dict[str, str]:
    return {
        load["dataset"]: load["code_version"]
        for load in body.get("loads", [])
        if load["dataset"] != "marts" and "code_version" in load
    }


def _suites(body: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(check["check_name"].split(".", 1)[0], check["suite_version"]) for check in body.get("checks", [])}


def _mart_loads(body: Mapping[str, Any]) -> set[str]:
    return {mart["load_id"] for mart in body.get("marts", {}).values()}


def _names(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
