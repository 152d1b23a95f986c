"""Adapters: each says in one small module how a foreign format becomes contract rows. A landing folder chooses one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from voiceai_assets.adapters import bakame, canonical, converza, events, irembo
from voiceai_assets.adapters.base import Adapter, Table, is_utf8

ADAPTERS: Mapping[str, Adapter] = {
    module.ADAPTER.name: module.ADAPTER for module in (canonical, irembo, bakame, converza, events)
}


def adapter_for(folder: str) -> Adapter | None:
    """The adapter of a landing folder, or None where nobody reads that folder."""
    return ADAPTERS.get(folder)


def tables_for(path: str) -> tuple[Table, ...]:
    """The tables that a file feeds, by its path below landing; none where nobody reads it."""
    parts = PurePosixPath(path).parts if is_utf8(path) else ()
    adapter = adapter_for(parts[0]) if len(parts) > 1 else None
    return adapter.tables_of("/".join(parts[1:])) if adapter else ()
