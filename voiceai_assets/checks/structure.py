"""What dbt found wrong with the marts of a day, in the words of the ledger and of the gate.

Belongs here: a failed node of the dbt project as a result and as a demand. Does not belong here: running dbt
(``assets.dbt_calls``), the suites.

Unlike a suite, dbt is not asked for each day: nothing is recorded where all went well. What it found counts for the
load that the marts were being built for, like any result, and is forgotten when they are built again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from voiceai_assets.checks.gate import Demand, Recorded
from voiceai_assets.warehouse.ledger import CheckResult

#: In the ledger, suite and version of what dbt found.
DBT = "dbt"
_MEND = "correct the model, or the source that breaks it (the run's log has dbt's own words), then run the day again"


@dataclass(frozen=True)
class FailedNode:
    """A test that found rows, or a node that could not be built or asked.

    Attributes:
        name: of the node.
        asset: the table it is about, as ledgers spell it.
        is_finding: whether it was evaluated and found broken.
        count: rows that a test found.
        message: dbt's.
    """

    name: str
    asset: str
    is_finding: bool
    count: int
    message: str


def as_results(nodes: Iterable[FailedNode]) -> list[CheckResult]:
    """For the ledger: rows that a test found are bad data, all else could not be checked."""
    return [
        CheckResult(
            asset=node.asset,
            check_name=f"{DBT}.{node.name}",
            status="failed" if node.is_finding else "error",
            severity="critical",
            description=f"dbt: {node.name}",
            suite_version=DBT,
            observed={"unexpected_count": node.count} if node.is_finding else {"message": node.message},
        )
        for node in nodes
    ]


def demanded(recorded: Iterable[Recorded], load_id: str | None) -> list[Demand]:
    """That what dbt found wrong with the marts of a load be mended."""
    return [
        Demand(r.asset, r.check_name, "critical", DBT, load_id, r.check_name.removeprefix(f"{DBT}."), _MEND)
        for r in recorded
        if r.suite_version == DBT and r.load_id == load_id
    ]
