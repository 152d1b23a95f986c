"""Events: what an experiment platform exports, a file per table, under the names of the contracts or their aliases.

Belongs here: which file is which table, and the two places where the exports differ from the contracts. Does not belong
here: sessions made from conversation events (the dbt models do that).
"""

from __future__ import annotations

from collections.abc import Mapping

from voiceai_assets.adapters.base import Adapter, Table
from voiceai_assets.contracts.deployments import DEPLOYMENTS
from voiceai_assets.contracts.experiments import (
    ASSIGNMENTS,
    EXPERIMENT_EVENTS,
    EXPERIMENTS,
    METRIC_AGGREGATES,
    POLICY_VERSIONS,
    VARIANTS,
)
from voiceai_assets.contracts.fields import Contract, Field, Kind

_BARE_DATE = r"^\s*\d{4}-\d{2}-\d{2}\s*$"


def _value(field: Field) -> str:
    names = ", ".join(f's."{name}"' for name in field.names)
    return f"coalesce({names})"


def _midnight(value: str) -> str:
    return f"CASE WHEN regexp_matches({value}, '{_BARE_DATE}') THEN trim({value}) || 'T00:00:00' ELSE {value} END"


def _table(files: str, contract: Contract, *, dates: tuple[str, ...] = (), **special: str) -> Table:
    """A table whose columns are the contract's fields.

    Args:
        files: as in ``Table``.
        contract: as in ``Table``.
        dates: instants that are often given as a bare date, for which midnight stands. When something happened (an
            event, an assignment) is not among them: a time that would have to be guessed is refused.
        special: fields that need another expression.
    """
    mapping: Mapping[str, str] = {
        **{f.name: _midnight(_value(f)) if f.name in dates else _value(f) for f in contract.fields},
        **special,
    }
    return Table(
        files=files,
        contract=contract,
        mapping=mapping,
        required=tuple(f.name for f in contract.fields if f.required and not f.aliases),
        json=tuple(name for f in contract.fields if f.kind is Kind.JSON for name in f.names),
    )


ADAPTER = Adapter(
    name="events",
    version="1",
    doc="Exports of an experiment platform: events (of conversations, too), experiments, variants, assignments, metric "
    "aggregates, policy versions and model releases. Lists without a date of their own are filed under the day "
    "of their file.",
    tables=(
        _table("*metric_aggregates*", METRIC_AGGREGATES, dates=("bucket_start", "bucket_end")),
        _table("*policy_versions*", POLICY_VERSIONS, dates=("created_at", "deployed_at")),
        _table("*deployments*", DEPLOYMENTS, dates=("released_at", "ended_at")),
        _table("*assignments*", ASSIGNMENTS),
        _table("*variants*", VARIANTS),
        _table(
            "*events*",
            EXPERIMENT_EVENTS,
            # a field of kind JSON is an object, the export gives a list
            experiments="CASE WHEN json_type(s.experiments) = 'ARRAY' THEN json_object('items', s.experiments) "
            "ELSE s.experiments END",
        ),
        # last, because a folder may have this name
        _table("*experiments*", EXPERIMENTS, dates=("started_at", "ended_at")),
    ),
)
