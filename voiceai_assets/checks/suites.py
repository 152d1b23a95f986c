"""The reviewed suites in ``expectations/``: reading them, naming them, fingerprinting them.

Belongs here: what is demanded of a table. Does not belong here: evaluating it (``expectations``, ``measured``),
deciding (``gate``), tolerances and waivers (``reviewed``).

A suite is asked of many days at once and gone into day by day only where something is broken. Therefore every rule must
be one that holds for a range exactly if it holds for each of its days: rules on rows, and queries that name the day in
what they group by. ``read_suite`` refuses others.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from voiceai_assets.checks.reviewed import SUITES_FOLDER, Tolerance, tolerances
from voiceai_assets.contracts import DATASETS
from voiceai_assets.warehouse.marts import columns_of_mart

#: Whose load id judges a suite: all that was taken in for a day, one dataset of it, its marts. Upstream first.
INTAKE, MARTS = "intake", "marts"
#: What every day must have; the suite of a dataset that a day has nothing of is not asked for.
ALWAYS = (INTAKE, "turns", MARTS)
SEVERITIES = ("critical", "warning")

#: Great Expectations answers these for a range as it does for its days.
EXPECTATIONS = frozenset(
    {
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_null",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_match_regex",
        "expect_column_pair_values_a_to_be_greater_than_b",
        "unexpected_rows_expectation",
    }
)
#: Rules that look at the catalogue of the database or at other days, hence measured by us.
MEASURED = frozenset({"schema_is_as_agreed", "volume_is_usual", "distribution_is_usual", "day_ends_as_usual"})
#: At most a share of the rows of each source, by ``expectations/tolerances.yaml``; becomes a query.
SHARE = "share_is_tolerated"
_TOLERANCE = re.compile(r"\{tolerance(?::(\w+))?\}")


class SuiteError(ValueError):
    """A file in ``expectations/`` does not hold a suite; the message names the file and the key."""


@dataclass(frozen=True)
class Rule:
    """One expectation: what it demands, why, and how a failure is mended."""

    id: str
    type: str
    kwargs: dict[str, Any]
    severity: Literal["critical", "warning"]
    description: str
    why: str
    mend: str

    @property
    def is_measured(self) -> bool:
        """Whether we measure it, and not Great Expectations."""
        return self.type in MEASURED

    def asked_of(self, first: str, last: str) -> dict[str, Any]:
        """The arguments with the days that the rule is asked of, so that of other tables, too, only those are read."""
        if not (query := self.kwargs.get("unexpected_rows_query")):
            return self.kwargs
        dated = query.replace("{first_day}", f"date '{first}'").replace("{last_day}", f"date '{last}'")
        return {**self.kwargs, "unexpected_rows_query": dated}


@dataclass(frozen=True)
class Suite:
    """All expectations of one check on one table, evaluated per day.

    Attributes:
        dataset: whose load id judges it: a dataset, ``intake`` or ``marts``.
        computed: columns that rules speak of besides the table's own, as SQL over one row.
        every_day: a day without rows is looked at too, as one row of nulls; rows bear their day as ``judged_day``.
    """

    suite: str
    asset: tuple[str, ...]
    dataset: str
    table: str
    day_column: str
    doc: str
    rules: tuple[Rule, ...]
    version: str = ""
    computed: Mapping[str, str] = field(default_factory=dict)
    every_day: bool = False

    @property
    def asset_name(self) -> str:
        """Asset key as ledgers spell it."""
        return "/".join(self.asset)

    def check_name(self, rule: Rule) -> str:
        """Name of one rule in the ledger."""
        return f"{self.suite}.{rule.id}"

    def query(self, first: str, last: str) -> str:
        """The rows of the days from ``first`` to ``last`` with the computed columns."""
        extra = "".join(f", {expression} as {name}" for name, expression in self.computed.items())
        if not self.every_day:
            return (
                f"select t.*{extra} from {self.table} t "
                f"where t.{self.day_column} between date '{first}' and date '{last}'"
            )
        return (
            f"select calendar.judged_day, t.*{extra} from (select d::date as judged_day "
            f"from generate_series(date '{first}', date '{last}', interval '1 day') as days (d)) as calendar "
            f"left join {self.table} t on t.{self.day_column} = calendar.judged_day"
        )


def read_suite(path: Path, tolerated: Iterable[Tolerance] | None = None) -> Suite:
    """Read one suite, with tolerances and agreed columns filled in.

    Raises:
        SuiteError: for a missing or unknown key, an unknown severity or type, a rule that stands twice.
    """
    try:
        found = json.loads(path.read_text())
        rules = tuple(Rule(**rule) for rule in found.pop("expectations"))
        suite = Suite(**{**found, "asset": tuple(found["asset"])}, rules=rules)
    except (TypeError, KeyError, json.JSONDecodeError) as error:
        raise SuiteError(f"{path} is not a suite: {error}") from error
    _refuse_mistakes(path, suite)
    limits = {(t.rule, t.source): t.value for t in (tolerances() if tolerated is None else tolerated)}
    try:
        suite = _filled_in(suite, limits)
    except KeyError as error:
        raise SuiteError(f"{path}: {error.args[0]}") from error
    said = {k: v for k, v in suite.__dict__.items() if k not in ("rules", "version")}
    text = json.dumps([said, [rule.__dict__ for rule in suite.rules]], sort_keys=True)
    return replace(suite, version=hashlib.sha256(text.encode()).hexdigest()[:12])


def _refuse_mistakes(path: Path, suite: Suite) -> None:
    ids = [rule.id for rule in suite.rules]
    if len(set(ids)) != len(ids):
        raise SuiteError(f"{path}: rule ids must be unique, found {ids}")
    if wrong := [rule.id for rule in suite.rules if rule.severity not in SEVERITIES]:
        raise SuiteError(f"{path}: severity of {wrong} is none of {SEVERITIES}")
    if wrong := [rule.id for rule in suite.rules if rule.type not in EXPECTATIONS | MEASURED | {SHARE}]:
        raise SuiteError(f"{path}: type of {wrong} is not one that can be asked of many days at once")
    if wrong := [rule.id for rule in suite.rules if not _names_the_day(suite, rule)]:
        raise SuiteError(f"{path}: {wrong} must group by {suite.day_column}, or days would be mixed")
    if suite.dataset not in (INTAKE, *DATASETS, MARTS):
        raise SuiteError(f"{path}: dataset is {suite.dataset!r}, none of {', '.join((INTAKE, *DATASETS, MARTS))}")
    if suite.suite != path.stem:
        raise SuiteError(f"{path}: suite is called {suite.suite!r}; the file's name must say the same")


def _names_the_day(suite: Suite, rule: Rule) -> bool:
    query = str(rule.kwargs.get("unexpected_rows_query", ""))
    day = "judged_day" if suite.every_day else rf"(?:{suite.day_column}|turn_date)"
    return all(re.match(rf"\s*(\w+\.)?{day}\b", part) for part in re.split(r"\bgroup by\b", query)[1:])


def _filled_in(suite: Suite, limits: Mapping[tuple[str, str], float]) -> Suite:
    """The same with numbers for tolerances, a query for each share, and the columns that were agreed on."""
    computed = {
        name: _TOLERANCE.sub(lambda found: _by_source(f"{suite.suite}.{found[1]}", limits), expression)
        for name, expression in suite.computed.items()
    }
    rules = tuple(replace(rule, **_kwargs(suite, rule, limits)) for rule in suite.rules)
    return replace(suite, computed=computed, rules=rules)


def _kwargs(suite: Suite, rule: Rule, limits: Mapping[tuple[str, str], float]) -> dict[str, Any]:
    """What becomes of a rule's type and arguments."""
    name, day = suite.check_name(rule), suite.day_column
    if rule.type == "schema_is_as_agreed":
        return {"kwargs": {"columns": agreed_columns(suite)}}
    if rule.type == SHARE:
        holds = rule.kwargs["column"]
        shares = (
            f"select {day}, source, count(*) filter (where {holds}) as found_count, count({holds}) as out_of "
            f"from {{batch}} group by {day}, source "
            f"having count(*) filter (where {holds}) > {_by_source(name, limits)} * count({holds})"
        )
        return {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": shares}}
    if query := rule.kwargs.get("unexpected_rows_query"):
        return {"kwargs": {"unexpected_rows_query": _TOLERANCE.sub(lambda _: _by_source(name, limits), query)}}
    return {}


def _by_source(rule: str, limits: Mapping[tuple[str, str], float]) -> str:
    """A tolerance as SQL over a row's source."""
    if (rule, "*") not in limits:
        raise KeyError(f"expectations/tolerances.yaml has no value of {rule} for source *")
    special = "".join(f" when '{s}' then {v}" for (r, s), v in sorted(limits.items()) if r == rule and s != "*")
    default = str(limits[rule, "*"])
    return f"(case source{special} else {default} end)" if special else default


def agreed_columns(suite: Suite) -> dict[str, str]:
    """Column -> type that the contract or the mart's own description promises."""
    schema, table = suite.table.split(".")
    if schema == "raw":
        return {c.name: c.kind.postgres for c in DATASETS[table].columns}
    return dict(columns_of_mart(table))


@functools.cache
def all_suites(folder: Path = SUITES_FOLDER) -> tuple[Suite, ...]:
    """Every suite, upstream first: what is broken in raw explains what is broken in the marts."""
    suites = (read_suite(path) for path in folder.glob("*.json"))
    order = (INTAKE, *DATASETS, MARTS)
    return tuple(sorted(suites, key=lambda suite: (order.index(suite.dataset), suite.suite)))


def is_asked(suite: Suite, load_ids: Mapping[str, str | None] | Mapping[str, str]) -> bool:
    """Whether a suite is demanded of a day with these loads: not where the day has nothing of an optional dataset."""
    return suite.dataset in ALWAYS or load_ids.get(suite.dataset) is not None
