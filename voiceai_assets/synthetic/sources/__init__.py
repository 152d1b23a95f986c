"""Sources: each says in one module how the world looks in the files of one platform, so that its adapter can be fed."""

from __future__ import annotations

from collections.abc import Mapping

from voiceai_assets.synthetic.sources import bakame, canonical, converza, events, irembo
from voiceai_assets.synthetic.sources.base import Source

SOURCES: Mapping[str, Source] = {
    module.SOURCE.name: module.SOURCE for module in (canonical, irembo, bakame, converza, events)
}
