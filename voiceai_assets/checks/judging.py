"""Suites and days in, results out: who is asked what, by Great Expectations or by ourselves.

Belongs here: putting the two together, and not asking what need not be asked. Does not belong here: ledgers, verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voiceai_assets.checks.expectations import Validator, nothing_to_see
from voiceai_assets.checks.measured import days_with_rows, measure
from voiceai_assets.checks.suites import Suite, is_asked
from voiceai_assets.warehouse.ledger import CheckResult
from voiceai_assets.warehouse.server import Warehouse


def evaluate(
    warehouse: Warehouse,
    suites: Sequence[Suite],
    loads: Mapping[str, Mapping[str, str | None]],
    validator: Validator,
) -> dict[str, dict[str, list[CheckResult]]]:
    """Day -> suite -> results of its rules; suites that are not asked of a day are left out.

    A table without rows of a day need not be read for it: what is said of rows holds of none.

    Args:
        warehouse: where the tables lie.
        suites: what is demanded.
        loads: day -> dataset -> load; a suite of a dataset that a day has nothing of is not asked.
        validator: Great Expectations on the same warehouse.
    """
    with warehouse.connect() as connection:
        filled = days_with_rows(connection, [s for s in suites if not s.every_day], list(loads))
    found: dict[str, dict[str, list[CheckResult]]] = {day: {} for day in loads}
    for suite in suites:
        days = [day for day, load_ids in loads.items() if is_asked(suite, load_ids)]
        if not days:
            continue
        expected = validator.validate(suite, [d for d in days if suite.every_day or d in filled[suite.suite]])
        with warehouse.connect() as connection:
            measured = measure(connection, suite, days)
        for day in days:
            found[day][suite.suite] = [*expected.get(day, nothing_to_see(suite)), *measured[day]]
    return found
