"""Evaluate suites with Great Expectations, one day at a time.

Belongs here: suite and day in, one result per rule out. Does not belong here: what follows from a result (``gate``).
"""

from __future__ import annotations

import itertools
import os
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from voiceai_assets.checks.suites import Rule, Suite
from voiceai_assets.warehouse.ledger import CheckResult
from voiceai_assets.warehouse.server import Address

SAMPLE_ROWS = 5


class Validator:
    """Great Expectations on one database; made once per run, because importing it takes over a second."""

    def __init__(self, address: Address) -> None:
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import great_expectations as gx
            from great_expectations.data_context.types.base import ProgressBarsConfig

        self._gx = gx
        self._context = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False)
        self._source = self._context.data_sources.add_postgres("warehouse", connection_string=address.sqlalchemy())
        self._batch_query: str | None = None
        event.listen(self._source.get_execution_engine().engine, "before_cursor_execute", self._spare_rows, retval=True)
        self._serial = itertools.count()

    def _spare_rows(self, _c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        """Great Expectations learns the columns of a query by fetching all of its rows: let it fetch none.

        5.0 s -> 1.3 s for a day of a million turns, and no million rows in memory.
        """
        return (f"{statement} limit 0" if statement.strip() == self._batch_query else statement), parameters

    def validate(self, suite: Suite, day: str) -> list[CheckResult]:
        """One result per rule: passed, failed, or error where the rule could not be evaluated.

        The first pass asks only true or false, which Great Expectations answers for all rules in one scan; rules
        that failed are asked again for what was observed and for offending values.
        """
        with self._batch(suite, day) as batch:
            first = self._run(batch, suite, suite.rules, "BOOLEAN_ONLY")
            doubtful = [rule for rule in suite.rules if not _passed(first.get(rule.id))]
            second = self._run(batch, suite, doubtful, "SUMMARY") if doubtful else {}
        return [self._result(suite, rule, second.get(rule.id) or first.get(rule.id)) for rule in suite.rules]

    @contextmanager
    def _batch(self, suite: Suite, day: str) -> Iterator[Any]:
        # a query, not GX's own daily batches: those scan the whole table (1.75 s against 0.35 s per 100k rows)
        query = f"select * from {suite.table} where {suite.day_column} = date '{day}'"
        self._batch_query = query
        asset = self._source.add_query_asset(f"{suite.suite}_{next(self._serial)}", query=query)
        try:
            yield asset.add_batch_definition_whole_table("day").get_batch()
        finally:
            self._source.delete_asset(asset.name)  # or a run of a year would drag 1,500 of them along

    def _run(self, batch: Any, suite: Suite, rules: Sequence[Rule], result_format: str) -> dict[str, dict[str, Any]]:
        expectations = [
            {"type": rule.type, "kwargs": rule.kwargs, "severity": rule.severity, "id": _uuid(suite, rule)}
            for rule in rules
        ]
        gx_suite = self._gx.ExpectationSuite(name=f"{suite.suite}_{next(self._serial)}", expectations=expectations)
        outcome = batch.validate(gx_suite, result_format={"result_format": result_format})
        by_uuid = {_uuid(suite, rule): rule.id for rule in rules}
        return {by_uuid[r.expectation_config.id]: r.to_json_dict() for r in outcome.results}

    @staticmethod
    def _result(suite: Suite, rule: Rule, found: dict[str, Any] | None) -> CheckResult:
        if found is None:
            status, observed, sample = "error", {"message": "Great Expectations returned no result"}, None
        elif message := _exception_of(found):
            status, observed, sample = "error", {"message": message}, None
        else:
            status = "passed" if found["success"] else "failed"
            observed, sample = _observed(found.get("result", {})), _sample(found.get("result", {}))
        return CheckResult(
            asset=suite.asset_name,
            check_name=suite.check_name(rule),
            status=status,
            severity=rule.severity,
            description=rule.description,
            suite_version=suite.version,
            observed=observed,
            expected={"type": rule.type, **rule.kwargs},
            sample=sample,
        )


def _uuid(suite: Suite, rule: Rule) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, suite.check_name(rule)))


def _passed(found: dict[str, Any] | None) -> bool:
    return bool(found and found["success"] and not _exception_of(found))


def _exception_of(found: dict[str, Any]) -> str | None:
    """Message of a rule that raised; GX reports those as success = False, which must not read as bad data."""
    info = found.get("exception_info") or {}
    entries = [info] if "raised_exception" in info else list(info.values())
    messages = [e.get("exception_message") or "unknown error" for e in entries if e.get("raised_exception")]
    return "; ".join(str(m) for m in messages)[:500] or None


def _observed(result: dict[str, Any]) -> dict[str, Any]:
    keys = ("observed_value", "element_count", "unexpected_count", "unexpected_percent", "missing_count")
    return {key: result[key] for key in keys if key in result}


def _sample(result: dict[str, Any]) -> Any:
    """A few offending values, or rows for a rule that is a query."""
    details = result.get("details") or {}
    rows = result.get("partial_unexpected_list") or details.get("unexpected_rows") or []
    return rows[:SAMPLE_ROWS] or None
