"""What must hold of the whole installation at any time; cheap enough to be asked with every status.

Belongs here: the questions and their answers. Does not belong here: Dagster (``assets.governance``), single days'
checks (``checks``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from voiceai_assets.checks.suites import Suite, all_suites
from voiceai_assets.versions import DBT_PROJECT
from voiceai_assets.warehouse.marts import Mart, day_marts
from voiceai_assets.warehouse.readers import columns_of
from voiceai_assets.yaml_files import read_yaml

Connection = psycopg.Connection[Any]
_SHOWN = 5


@dataclass(frozen=True)
class Standing:
    """An answer.

    Attributes:
        name: what must hold, as an assertion.
        problems: what does not; empty where it holds.
        mend: what to do.
    """

    name: str
    problems: tuple[str, ...]
    mend: str

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts it."""
        return not self.problems

    @property
    def summary(self) -> str:
        """In one line."""
        if self.holds:
            return "holds"
        more = len(self.problems) - _SHOWN
        return "; ".join(self.problems[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def no_day_is_left_failed_or_stale(connection: Connection) -> Standing:
    """Whether every day that anything is known of is certified."""
    found = connection.execute(
        "select day::text, status from governance.day_status where status is null or status not like 'certified%' "
        "order by day"
    ).fetchall()
    problems = tuple(f"{day} is {status or 'not judged'}" for day, status in found)
    return Standing("no_day_is_left_failed_or_stale", problems, "voiceai status says why and what to do")


def no_certified_day_is_without_certificate(connection: Connection) -> Standing:
    """Whether every published day has one certificate, which exists and speaks of it, and none is certified without."""
    found = connection.execute(
        "select p.day::text, 'is published under a certificate that does not speak of it' "
        "from governance.publications p "
        "left join governance.certificates c on c.certificate_id = p.certificate_id and c.day = p.day "
        "where p.is_live and c.certificate_id is null group by 1 union all "
        "select day::text, 'is published under ' || count(distinct certificate_id) || ' certificates' "
        "from governance.publications where is_live group by 1 having count(distinct certificate_id) > 1 union all "
        "select day::text, 'is certified and has no certificate' from governance.day_status "
        "where status like 'certified%' and certificate_id is null order by 1"
    ).fetchall()
    problems = tuple(f"{day} {text}" for day, text in found)
    return Standing("no_certified_day_is_without_certificate", problems, "voiceai verify names the rows that differ")


def every_certified_mart_is_governed(connection: Connection) -> Standing:
    """Whether every mart that readers have says who answers for it and what it is, and is held to something."""
    published = {mart for mart in day_marts() if columns_of(connection, "certified", mart)}
    problems = ungoverned((mart for mart in day_marts().values() if mart.name in published), all_suites(), _contracts())
    mend = "add owner and description to the model's YAML, and a suite to expectations/"
    return Standing("every_certified_mart_is_governed", problems, mend)


def ungoverned(marts: Iterable[Mart], suites: Iterable[Suite], contracts: Mapping[str, bool]) -> tuple[str, ...]:
    """What marts lack of owner, description, suite and contract."""
    judged = {suite.table for suite in suites}
    found = []
    for mart in marts:
        has = {
            "owner": mart.owner.startswith("team:"),
            "description": len(mart.description) > len("Grain: one row."),
            "suite": f"marts.{mart.name}" in judged,
            "contract": contracts.get(mart.name, False),
        }
        if lacking := [name for name, there in has.items() if not there]:
            found.append(f"{mart.name} has no {', '.join(lacking)}")
    return tuple(found)


def _contracts() -> dict[str, bool]:
    """Mart -> whether dbt holds its columns to its YAML: on for the folder, unless the model turned it off."""
    folder = read_yaml(DBT_PROJECT / "dbt_project.yml")["models"]["voiceai"]["marts"]
    default = bool(folder.get("+contract", {}).get("enforced"))
    found = {}
    for path in sorted((DBT_PROJECT / "models" / "marts").rglob("*.yml")):
        for model in read_yaml(path).get("models", []):
            own = model.get("config", {}).get("contract", {}).get("enforced", default)
            found[model["name"]] = bool(own) and bool(model.get("columns"))
    return found


CHECKS: tuple[Callable[[Connection], Standing], ...] = (
    no_day_is_left_failed_or_stale,
    no_certified_day_is_without_certificate,
    every_certified_mart_is_governed,
)


def standing(connection: Connection) -> tuple[Standing, ...]:
    """Every answer."""
    return tuple(check(connection) for check in CHECKS)
