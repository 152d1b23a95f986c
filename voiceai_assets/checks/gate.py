"""The gate: from demanded checks and recorded results to a verdict on a day. Pure; nothing is read or written here.

Three promises live in this file. A result counts only for the load it was made on, a missing result certifies
nothing, and "could not check" is neither "bad data" nor "passed". A data owner's waiver lets a day pass in spite of a
rule that was evaluated and found broken, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from voiceai_assets.checks.reviewed import Waiver
from voiceai_assets.checks.suites import Suite, is_asked


class Status(StrEnum):
    """What the gate says of a day."""

    CERTIFIED = "certified"
    WITH_WARNINGS = "certified with warnings"
    BLOCKED = "blocked"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Demand:
    """A rule that must have been evaluated, in this version of its suite, on this load."""

    asset: str
    check_name: str
    severity: str
    suite_version: str
    load_id: str | None
    description: str
    mend: str


@dataclass(frozen=True)
class Recorded:
    """A result as the ledger holds it."""

    asset: str
    check_name: str
    load_id: str
    suite_version: str
    status: str
    observed: Any = None


@dataclass(frozen=True)
class Reason:
    """Why a day is blocked, or what it is certified in spite of."""

    check: str
    asset: str
    kind: str
    severity: str
    text: str
    mend: str
    waiver: Waiver | None = None

    def as_dict(self) -> dict[str, str]:
        """For the ledger."""
        found = {
            "check": self.check,
            "asset": self.asset,
            "kind": self.kind,
            "severity": self.severity,
            "text": self.text,
            "mend": self.mend,
        }
        if self.waiver:
            w = self.waiver
            found |= {"waived_by": w.owner, "waived_because": w.reason, "waived_until": w.until.isoformat()}
        return found


@dataclass(frozen=True)
class Verdict:
    """The gate's word on a day."""

    status: Status
    reasons: tuple[Reason, ...]

    @property
    def may_publish(self) -> bool:
        """Whether the day may become visible."""
        return self.status in (Status.CERTIFIED, Status.WITH_WARNINGS)

    @property
    def is_bad_data(self) -> bool:
        """Whether some critical rule was evaluated and found broken (as opposed to: could not be evaluated)."""
        return any(r.kind == "failed" and r.severity == "critical" for r in self.reasons)


def demands(suites: Iterable[Suite], load_ids: Mapping[str, str | None]) -> list[Demand]:
    """Every rule of every suite that the day is asked for, tied to the load that its table holds now."""
    return [
        Demand(
            asset=suite.asset_name,
            check_name=suite.check_name(rule),
            severity=rule.severity,
            suite_version=suite.version,
            load_id=load_ids.get(suite.dataset),
            description=rule.description,
            mend=rule.mend,
        )
        for suite in suites
        if is_asked(suite, load_ids)
        for rule in suite.rules
    ]


def in_force(waivers: Iterable[Waiver], day: str, today: date) -> dict[str, Waiver]:
    """Check -> the waiver that holds for it on this day; of several, the one that holds longest."""
    judged = date.fromisoformat(day)
    found = [w for w in waivers if w.first <= judged <= w.last and today <= w.until]
    return {w.check: w for w in sorted(found, key=lambda w: w.until)}


def waivers_changed(reasons: Iterable[Mapping[str, Any]], waived: Mapping[str, Waiver]) -> bool:
    """Whether a recorded verdict would be another one under the waivers that hold today."""
    return any(
        (reason["kind"] == "waived" and reason["check"] not in waived)
        or (reason["kind"] == "failed" and reason["severity"] == "critical" and reason["check"] in waived)
        for reason in reasons
    )


def decide(
    demanded: Sequence[Demand], recorded: Iterable[Recorded], waived: Mapping[str, Waiver] | None = None
) -> Verdict:
    """Judge a day.

    A broken critical rule blocks, and so does any rule, of whatever severity, whose evaluation raised: what was not
    checked must not look checked. A rule without a result on exactly this load and this suite version leaves the day
    not judged, which does not publish either. A broken rule of severity warning certifies and stays attached, and so
    does a critical one that is waived.
    """
    if not demanded:
        return Verdict(Status.NOT_JUDGED, (_not_built("gate", "no check is demanded"),))
    found = {(r.asset, r.check_name, r.load_id, r.suite_version): r for r in recorded}
    # of a layer that is not built there is one thing to say, and not one for each of its thirty tables
    absent = sorted({d.asset.split("/")[0] for d in demanded if d.load_id is None})
    reasons = [_not_built(layer, f"{layer} does not hold the day as it lies in landing now") for layer in absent]
    for d in demanded:
        if d.load_id is not None:
            result = found.get((d.asset, d.check_name, d.load_id, d.suite_version))
            objection = _objection(d, result, (waived or {}).get(d.check_name))
            reasons += [objection] if objection else []
    # stable: among equals the upstream table comes first
    ordered = tuple(sorted(reasons, key=lambda r: (r.kind == "failed" and r.severity == "warning", _ORDER[r.kind])))
    return Verdict(_status(ordered), ordered)


def _status(reasons: Sequence[Reason]) -> Status:
    if any(r.kind == "error" or (r.kind == "failed" and r.severity == "critical") for r in reasons):
        return Status.BLOCKED
    if any(r.kind == "missing" for r in reasons):
        return Status.NOT_JUDGED
    return Status.WITH_WARNINGS if reasons else Status.CERTIFIED


def _not_built(asset: str, text: str) -> Reason:
    return Reason("gate", asset, "missing", "critical", text, "materialise the whole day")


_ORDER = {"failed": 0, "error": 1, "missing": 2, "waived": 3}


def _objection(demand: Demand, result: Recorded | None, waiver: Waiver | None) -> Reason | None:
    if result is None:
        kind, text = "missing", f"not checked on this load: {demand.description}"
        mend = "run the checks of the day (materialise the whole day)"
    elif result.status == "passed":
        return None
    elif result.status == "failed":
        kind, text, mend = "failed", f"not so: {demand.description}{seen(result.observed)}", demand.mend
        if waiver and demand.severity == "critical":
            said = f"waived until {waiver.until} by {waiver.owner} ({waiver.reason})"
            return Reason(
                demand.check_name, demand.asset, "waived", demand.severity, f"{said}; {text}", demand.mend, waiver
            )
    else:
        kind, text = "error", f"could not check: {demand.description}{seen(result.observed)}"
        mend = "mend the cause of the error, then run the day again; the data may be good"
    return Reason(demand.check_name, demand.asset, kind, demand.severity, text, mend)


def seen(observed: Any) -> str:
    """What was observed, in brackets and in words; empty where there is nothing to say."""
    if not isinstance(observed, Mapping):
        return ""
    if "message" in observed:
        return f" ({str(observed['message'])[:200]})"
    if "unexpected_count" in observed and "element_count" in observed:
        return f" ({observed['unexpected_count']:,} of {observed['element_count']:,})"
    if "unexpected_count" in observed:
        return f" ({observed['unexpected_count']:,} found)"
    if "observed_value" in observed:
        return f" (observed {observed['observed_value']})"
    return ""
