"""Contracts: what the rows of each dataset are, in one place.

Belongs here: every dataset by its name. Does not belong here: files, SQL of a load, models made from the datasets.
"""

from __future__ import annotations

from collections.abc import Mapping

from voiceai_assets.contracts.applications import APPLICATIONS
from voiceai_assets.contracts.calls import CALLS
from voiceai_assets.contracts.deployments import DEPLOYMENTS
from voiceai_assets.contracts.experiments import (
    ASSIGNMENTS,
    EXPERIMENT_EVENTS,
    EXPERIMENTS,
    METRIC_AGGREGATES,
    POLICY_VERSIONS,
    VARIANTS,
)
from voiceai_assets.contracts.fields import Contract
from voiceai_assets.contracts.sessions import SESSION_METRICS, SESSIONS
from voiceai_assets.contracts.turn_metrics import TURN_METRICS
from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.contracts.users import USERS

DATASETS: Mapping[str, Contract] = {
    contract.dataset: contract
    for contract in (
        TURNS,
        SESSIONS,
        SESSION_METRICS,
        TURN_METRICS,
        CALLS,
        USERS,
        APPLICATIONS,
        EXPERIMENTS,
        VARIANTS,
        ASSIGNMENTS,
        EXPERIMENT_EVENTS,
        METRIC_AGGREGATES,
        POLICY_VERSIONS,
        DEPLOYMENTS,
    )
}
