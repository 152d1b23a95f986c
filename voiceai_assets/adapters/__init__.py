"""Adapters: each reads one foreign format into contract rows. A folder name in landing chooses one."""

from __future__ import annotations

from voiceai_assets.adapters import canonical
from voiceai_assets.adapters.base import Adapter

ADAPTERS: dict[str, Adapter] = {canonical.ADAPTER.name: canonical.ADAPTER}


def adapter_for(folder: str) -> Adapter | None:
    """The adapter of a landing folder, or None where nobody reads that folder."""
    return ADAPTERS.get(folder)
