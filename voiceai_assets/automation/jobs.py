"""Jobs: which assets run together."""

from typing import Any

import dagster as dg

from voiceai_assets.assets.abandonment import MODEL

#: Days in one run; a year would hold one transaction log and one process for too long.
DAYS_PER_RUN = 90


def daily_job() -> Any:
    """Landing to dashboards with every check, for one day or a range."""
    return dg.define_asset_job(
        "daily_job",
        selection=dg.AssetSelection.all() - dg.AssetSelection.assets(MODEL),
        description="Landing to certified dashboards with every check, for one day or a range of days.",
    )


def publish_job() -> Any:
    """The publish step alone; the gate decides from the ledger, so a blocked day stays blocked."""
    return dg.define_asset_job(
        "publish_job",
        selection=dg.AssetSelection.groups("certified", "dashboards"),
        description="Publish again what the ledger says may be published. A blocked day stays blocked.",
    )


def train_job() -> Any:
    """The abandonment model on all certified days."""
    return dg.define_asset_job(
        "train_job",
        selection=dg.AssetSelection.assets(MODEL),
        description="Train the abandonment model on certified days.",
    )
