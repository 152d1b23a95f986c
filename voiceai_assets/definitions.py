"""What ``dagster`` and ``dg`` load."""

from voiceai_assets.build import build_defs

defs = build_defs()
