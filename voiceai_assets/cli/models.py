"""``voiceai models``: what versions of the abandonment model there are, and which one scores.

Belongs here: words and tables. Does not belong here: the registry, criteria.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from voiceai_assets.models.abandonment.registry import Registry, RegistryError

_FAILED = 1


def show(registry: Registry, console: Console) -> int:
    """Every version with what it is worth, the champion first; 0 even where there is none."""
    champion, candidate = registry.champion(), registry.candidate()
    versions = registry.versions()
    if not versions:
        console.print("no version yet; `voiceai train` makes one")
        return 0
    table = Table("version", "", "kind", "judged on", "AUC hazard", "AUC turn 1", "verdict")
    for version in sorted(versions, key=lambda name: (name != champion, name != candidate, name)):
        card = registry.card(version)
        hazard = card["metrics"]["heads"]["hazard"]
        verdict = registry.verdict(version)
        role = "champion" if version == champion else "candidate" if version == candidate else ""
        days = card["metrics"]["test_days"]
        table.add_row(
            version,
            role,
            card["training"]["kind"],
            f"{days[0]} to {days[-1]}",
            _said(hazard["auc"]),
            _said(hazard["auc_by_turn"]["1"]),
            "" if verdict is None else f"{verdict['action']}: {verdict['because']}",
        )
    console.print(table)
    return 0


def promote(registry: Registry, version: str, console: Console, errors: Console, *, is_forced: bool) -> int:
    """Make a version the champion; one that its criteria refused, or that was never judged, only by force."""
    try:
        verdict = registry.verdict(version)
        if not is_forced and (verdict is None or verdict.get("action") == "refuse"):
            why = "it was never judged" if verdict is None else verdict.get("because")
            errors.print(f"[red]not promoted[/]: {why}. --force promotes it all the same")
            return _FAILED
        registry.set_champion(version)
    except RegistryError as error:
        errors.print(f"[red]error:[/] {error}")
        return _FAILED
    console.print(f"[green]{version} is the champion[/]")
    return 0


def rollback(registry: Registry, console: Console, errors: Console) -> int:
    """Make the champion before this one the champion again."""
    try:
        version = registry.rollback()
    except RegistryError as error:
        errors.print(f"[red]error:[/] {error}")
        return _FAILED
    console.print(f"[green]{version} is the champion again[/]")
    return 0


def verdict_of_training(registry: Registry) -> str:
    """What became of the version that was trained last, in a line."""
    candidate = registry.candidate()
    verdict = None if candidate is None else registry.verdict(candidate)
    if verdict is None:
        return "no version was judged"
    words = {"promote": "is the champion", "keep": "equals the champion", "refuse": "is not promoted"}
    return f"version {candidate} {words.get(verdict['action'], verdict['action'])}: {verdict['because']}"


def _said(estimate: dict[str, Any]) -> str:
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    if value is None:
        return "-"
    return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
