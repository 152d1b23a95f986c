"""Evaluate suites with Great Expectations, for a range of days at once.

Belongs here: suite and days in, one result per rule and day out. Does not belong here: what follows from a result
(``gate``), rules that look at other days or at the catalogue (``measured``).
"""

from __future__ import annotations

import itertools
import os
import uuid
import warnings
from collections.abc import Sequence
from typing import Any

from sqlalchemy import event

from voiceai_assets.checks.suites import Rule, Suite
from voiceai_assets.warehouse.ledger import CheckResult
from voiceai_assets.warehouse.server import Address

SAMPLE_ROWS = 5
#: Into how many parts a range is cut in which a rule is broken: one bad day of ninety is found in 19 questions.
_PARTS = 8


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
        source = self._context.data_sources.add_postgres("warehouse", connection_string=address.sqlalchemy())
        # one asset whose query changes: to add one writes the whole context out as YAML, 13 ms for each table of a run
        self._asset = source.add_query_asset("days", query="select 1")
        self._rows = self._asset.add_batch_definition_whole_table("rows")
        self._batch_query: str | None = None
        self._only_counts = False
        event.listen(source.get_execution_engine().engine, "before_cursor_execute", self._spare_rows, retval=True)
        self._serial = itertools.count()

    def _spare_rows(self, _c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        """Let Great Expectations fetch no rows that it does not need.

        It learns the columns of a query by fetching all of its rows: 5.0 s -> 1.3 s for a day of a million turns, and
        no million rows in memory. And it asks a rule that is a query for its rows besides their number, even where
        only true or false is wanted: each such rule would be computed twice.
        """
        text = statement.strip()
        if text == self._batch_query:
            return f"{statement} limit 0", parameters
        if self._only_counts and text.startswith("select "):  # ours: what it writes itself is in capitals
            return f"select * from ({text}) as not_needed limit 0", parameters
        return statement, parameters

    def validate(self, suite: Suite, days: Sequence[str]) -> dict[str, list[CheckResult]]:
        """Day -> one result per rule that is an expectation: passed, failed, or error where it could not be evaluated.

        All days are asked at once, and only true or false, which Great Expectations answers for all rules on rows in
        one scan. Its price is per rule asked (5 ms) and not per row, so ninety good days cost what one does. Rules that
        do not hold of a range are asked of parts of it, and of single days for what was observed.
        """
        rules = [rule for rule in suite.rules if not rule.is_measured]
        found: dict[str, dict[str, dict[str, Any]]] = {day: {} for day in days}
        if rules and days:
            self._look(suite, sorted(days), rules, found)
        return {day: [self._result(suite, rule, found[day].get(rule.id)) for rule in rules] for day in days}

    def _look(
        self, suite: Suite, days: Sequence[str], rules: Sequence[Rule], found: dict[str, dict[str, dict[str, Any]]]
    ) -> None:
        batch = self._batch(suite, days[0], days[-1])
        first = self._run(batch, suite, rules, days, "BOOLEAN_ONLY")
        doubtful = [rule for rule in rules if not _passed(first.get(rule.id))]
        if len(days) == 1:
            # of a query all its rows are told, which Great Expectations cuts at 200; of columns a summary
            queries = [rule for rule in doubtful if _is_query(rule)]
            first |= self._run(batch, suite, [rule for rule in doubtful if rule not in queries], days, "SUMMARY")
            first |= self._run(batch, suite, queries, days, "COMPLETE")
            found[days[0]] |= first
            return
        for day in days:
            found[day] |= {rule.id: first[rule.id] for rule in rules if rule not in doubtful}
        if doubtful:
            for part in _parts(days):
                self._look(suite, part, doubtful, found)

    def _batch(self, suite: Suite, first: str, last: str) -> Any:
        # a query, not GX's own daily batches: those scan the whole table (1.75 s against 0.35 s per 100k rows)
        self._asset.query = self._batch_query = suite.query(first, last)
        return self._rows.get_batch()

    def _run(
        self, batch: Any, suite: Suite, rules: Sequence[Rule], days: Sequence[str], result_format: str
    ) -> dict[str, dict[str, Any]]:
        if not rules:
            return {}
        expectations = [
            {
                "type": rule.type,
                "kwargs": rule.asked_of(days[0], days[-1]),
                "severity": rule.severity,
                "id": _uuid(suite, rule),
            }
            for rule in rules
        ]
        gx_suite = self._gx.ExpectationSuite(name=f"{suite.suite}_{next(self._serial)}", expectations=expectations)
        self._only_counts = result_format == "BOOLEAN_ONLY"
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
        return result(suite, rule, status, observed, sample)


def nothing_to_see(suite: Suite) -> list[CheckResult]:
    """Results of a table that holds nothing of the day: what is said of rows holds of none."""
    return [result(suite, rule, "passed", {}) for rule in suite.rules if not rule.is_measured]


def result(suite: Suite, rule: Rule, status: str, observed: Any, sample: Any = None) -> CheckResult:
    """What the ledger keeps of a rule on a day."""
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


def _is_query(rule: Rule) -> bool:
    return "unexpected_rows_query" in rule.kwargs


def _parts(days: Sequence[str]) -> list[Sequence[str]]:
    size = -(-len(days) // _PARTS)
    return [days[n : n + size] for n in range(0, len(days), size)]


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
    """What was seen; of a rule that tolerates a share, how many of how many."""
    shares = [row for row in (result.get("details") or {}).get("unexpected_rows") or [] if "out_of" in row]
    if shares:
        names = {"unexpected_count": "found_count", "element_count": "out_of"}
        return {name: sum(row[key] for row in shares) for name, key in names.items()}
    keys = ("observed_value", "element_count", "unexpected_count", "unexpected_percent", "missing_count")
    return {key: result[key] for key in keys if key in result}


def _sample(result: dict[str, Any]) -> Any:
    """A few offending values, or rows for a rule that is a query."""
    details = result.get("details") or {}
    rows = result.get("partial_unexpected_list") or details.get("unexpected_rows") or []
    return rows[:SAMPLE_ROWS] or None
