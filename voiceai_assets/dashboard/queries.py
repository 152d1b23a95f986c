"""SQL of the dashboards but the trace's: ``certified`` only, as ``bi_reader``, a short read-only transaction a page.

Belongs here: the metric catalogue's SQL, sufficient statistics per day and period, what happens when the database is
away. Does not belong here: estimates (``stats.intervals``), words and components.

SQL supplies sums over users of n, d, n*n, n*d and d*d, so that a year of a million sessions arrives as 365 rows. Beyond
``EXACT_TURNS`` it reads sums per day and bucket of users (``agg_metrics_daily``) instead of sessions.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, LiteralString, TypeVar

import pandas as pd
import psycopg
from psycopg import IsolationLevel, sql

from voiceai_assets.catalogue import catalogue
from voiceai_assets.dashboard.days import Period, Request, resolve
from voiceai_assets.governance.withheld import Withheld, read_withheld, withheld_by_metric
from voiceai_assets.stats.intervals import Cluster, CrossSums, Sums
from voiceai_assets.warehouse.readers import is_there
from voiceai_assets.warehouse.server import Address

T = TypeVar("T")
_log = logging.getLogger(__name__)

STATEMENT_TIMEOUT_S = 10
CONNECT_TIMEOUT_S = 3
_CACHED_PAGES = 32
#: Up to so many turns, the period before included, users are told apart; that takes about 10 us a session.
EXACT_TURNS = 250_000


#: The page's metrics: ratios of sums over sessions, in the catalogue's words and SQL.
SHOWN: tuple[LiteralString, ...] = (
    "completion",
    "abandonment",
    "first_time_completion",
    "error_rate",
    "asr_confidence",
    "turns_per_session",
)


@dataclass(frozen=True)
class Metric:
    """A ratio of sums over sessions; numerator and denominator are SQL over one row of fact_voice_ai_sessions."""

    key: LiteralString
    numerator: LiteralString
    denominator: LiteralString


def _of_catalogue(key: LiteralString) -> Metric:
    found = catalogue()[key]  # a reviewed file of this repository, not input: as literal as this module
    return Metric(key, found.numerator, found.denominator)


METRICS: Mapping[LiteralString, Metric] = {key: _of_catalogue(key) for key in SHOWN}


class DatabaseAwayError(RuntimeError):
    """The warehouse did not answer; the message is fit for a page (no address, no password)."""


@dataclass(frozen=True)
class Numbers:
    """Sufficient statistics of a range: a row per day that has sessions, one row for the range and the one before.

    Columns of ``by_day``: day, users, sessions, in_progress, and per metric ``<key>_users, _n, _d, _nn, _nd, _dd``.
    ``by_period`` has the same without day, again with the prefix ``before_``, and ``<key>_x_nn, _x_nd, _x_dn, _x_dd``
    across the two periods. ``cluster`` says of what ``users`` are the number, ``withheld`` by metric why it is no
    single number.
    """

    by_day: pd.DataFrame
    by_period: Mapping[str, float]
    cluster: Cluster = "user"
    withheld: Mapping[str, Sequence[Withheld]] = field(default_factory=dict)

    def rows(self) -> dict[date, dict[str, Any]]:
        """Rows of ``by_day``, by their day."""
        return {row["day"]: {str(k): v for k, v in row.items()} for row in self.by_day.to_dict("records")}

    def sums(self, metric: str, prefix: str = "") -> Sums:
        """The range's sums of a metric; ``prefix='before_'`` for the period before."""
        return self._sums_of(self.by_period, metric, prefix)

    def sums_of_days(self, metric: str) -> dict[date, Sums]:
        """Each day's sums of a metric."""
        return {day: self._sums_of(row, metric) for day, row in self.rows().items()}

    def _sums_of(self, row: Mapping[str, Any], metric: str, prefix: str = "") -> Sums:
        n, d, nn, nd, dd = (float(row[f"{prefix}{metric}_{part}"]) for part in ("n", "d", "nn", "nd", "dd"))
        return Sums(int(row[f"{prefix}{metric}_users"]), n, d, nn, nd, dd, self.cluster)

    def cross(self, metric: str) -> CrossSums:
        """Sums across the range and the period before."""
        return CrossSums(*(float(self.by_period[f"{metric}_x_{p}"]) for p in ("nn", "nd", "dn", "dd")))


@dataclass(frozen=True)
class Snapshot:
    """A page's worth of data, read in one transaction: badge and numbers are of the same moment.

    ``span`` is None before anything landed, ``range`` None when the request lies outside of it, ``numbers`` None
    before the first publication. ``days`` and ``days_before`` are rows of certified.day_status.
    """

    span: Period | None
    range: Period | None
    days: pd.DataFrame
    days_before: pd.DataFrame
    numbers: Numbers | None
    fingerprint: str


class CertifiedReader:
    """Reads pages; keeps the sums of a range for as long as the same certificates are live."""

    def __init__(self, address: Address, exact_turns: int = EXACT_TURNS) -> None:
        """Take the address of ``bi_reader``; nothing is opened yet."""
        self._exact_turns = exact_turns
        options = f"{address.parameters.get('options', '')} -c statement_timeout={STATEMENT_TIMEOUT_S}s".strip()
        self._address = address.with_parameters(
            options=options, connect_timeout=str(CONNECT_TIMEOUT_S), application_name="voiceai-dashboard"
        )
        self._pages: OrderedDict[tuple[Period, str], Numbers] = OrderedDict()
        self._lock = threading.Lock()

    def is_alive(self) -> bool:
        """Whether the database answers."""
        try:
            with self._transaction() as connection:
                return connection.execute("select 1").fetchone() == (1,)
        except DatabaseAwayError:
            return False

    def read(self, function: Callable[[psycopg.Connection[Any]], T]) -> T:
        """What a function reads, in a transaction like that of every page.

        Raises:
            DatabaseAwayError: as for ``snapshot``.
        """
        with self._transaction() as connection:
            return function(connection)

    def snapshot(self, request: Request) -> Snapshot:
        """Everything a page shows of the days that an address asks for.

        Raises:
            DatabaseAwayError: when the database cannot be reached or takes longer than the statement timeout.
        """
        with self._transaction() as connection:
            span = _span(connection)
            shown = resolve(request, span) if span else None
            if span is None or shown is None:
                nothing = pd.DataFrame(columns=_DAY_COLUMNS)
                return Snapshot(span, shown, nothing, nothing, None, f"{span} {request}")
            days, before = _days(connection, shown), _days(connection, shown.before())
            # contradictions are judged over all days, so a publication of any other day may change them
            fingerprint = f"{span} {shown} {_fingerprint(days)} {_fingerprint(before)} {_last_publication(connection)}"
            turns = sum(int(n or 0) for frame in (days, before) for n in frame["rows_loaded"])
            cluster: Cluster = "user" if turns <= self._exact_turns else "group of users"
            numbers = self._numbers(connection, shown, cluster, fingerprint) if _is_published(connection) else None
            return Snapshot(span, shown, days, before, numbers, f"{fingerprint} {numbers is None}")

    def _numbers(
        self, connection: psycopg.Connection[Any], shown: Period, cluster: Cluster, fingerprint: str
    ) -> Numbers:
        key = (shown, fingerprint)
        with self._lock:
            if key in self._pages:
                self._pages.move_to_end(key)
                return self._pages[key]
        parameters = {"start": shown.start, "end": shown.end, "before": shown.before().start}
        by_day = _frame(connection, BY_DAY[cluster], parameters)
        by_period = _frame(connection, BY_PERIOD[cluster], parameters).iloc[0].to_dict()
        sums = {str(name): float(value or 0) for name, value in by_period.items()}
        numbers = Numbers(by_day, sums, cluster, _withheld(connection, parameters))
        with self._lock:
            self._pages[key] = numbers
            while len(self._pages) > _CACHED_PAGES:
                self._pages.popitem(last=False)
        return numbers

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            with psycopg.connect(self._address.libpq()) as connection:
                connection.isolation_level = IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                yield connection
        except psycopg.errors.QueryCanceled as error:
            raise DatabaseAwayError(
                f"The database took longer than {STATEMENT_TIMEOUT_S} s. Choose fewer days, or try again."
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseAwayError("The dashboard's database role may not read schema certified.") from error
        except psycopg.OperationalError as error:
            raise DatabaseAwayError("The database does not answer.") from error
        except psycopg.Error as error:
            _log.exception("a dashboard query failed")
            raise DatabaseAwayError(f"The database refused a query ({type(error).__name__}).") from error


def _frame(
    connection: psycopg.Connection[Any],
    query: sql.Composed | LiteralString,
    parameters: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Rows as they come: object columns, so that a missing integer stays None instead of turning into a float."""
    cursor = connection.execute(query, parameters)
    assert cursor.description is not None
    return pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description], dtype=object)


_DAY_COLUMNS = [
    "day",
    "landed_records",
    "rows_loaded",
    "rows_quarantined",
    "rows_duplicate",
    "status",
    "stale_because",
    "reasons",
    "certificate_id",
    "version",
    "published_at",
]


def _span(connection: psycopg.Connection[Any]) -> Period | None:
    found = connection.execute("select min(day), max(day) from certified.day_status").fetchone()
    return Period(found[0], found[1]) if found and found[0] else None


def _days(connection: psycopg.Connection[Any], shown: Period) -> pd.DataFrame:
    query = sql.SQL("select {} from certified.day_status where day between %(start)s and %(end)s order by day")
    columns = sql.SQL(", ").join(map(sql.Identifier, _DAY_COLUMNS))
    return _frame(connection, query.format(columns), {"start": shown.start, "end": shown.end})


def _fingerprint(days: pd.DataFrame) -> int:
    """Changes whenever a day's standing, counts or live version do."""
    return hash(days.astype(str).to_csv())


def _last_publication(connection: psycopg.Connection[Any]) -> str:
    return str(connection.execute("select max(published_at) from certified.day_status").fetchone())


def _withheld(connection: psycopg.Connection[Any], shown: Mapping[str, Any]) -> Mapping[str, Sequence[Withheld]]:
    """By metric, as far as it concerns the sources that the shown days came from."""
    found = read_withheld(connection)
    if not found:
        return {}
    present = connection.execute(
        "select distinct source from certified.agg_sessions_daily where session_date between %(start)s and %(end)s",
        shown,
    ).fetchall()
    sources = {source for (source,) in present}
    return withheld_by_metric(w for w in found if w.source in sources)


def _is_published(connection: psycopg.Connection[Any]) -> bool:
    return is_there(connection, "certified.fact_voice_ai_sessions")


def _moments(metric: LiteralString, prefix: LiteralString = "") -> LiteralString:
    n, d = f"{prefix}{metric}_n", f"{prefix}{metric}_d"
    return (
        f"count(*) filter (where {d} > 0) as {prefix}{metric}_users, "
        f"sum({n}) as {n}, sum({d}) as {d}, sum({n} * {n}) as {n}n, sum({n} * {d}) as {n}d, sum({d} * {d}) as {d}d"
    )


@dataclass(frozen=True)
class _Rows:
    """What the sums are made from, for one kind of cluster: a relation and SQL over one of its rows.

    ``is_summed``: the relation has a single row for each cluster and day.
    """

    relation: LiteralString
    is_summed: bool
    clusters: Mapping[LiteralString, LiteralString]
    sessions: LiteralString
    in_progress: LiteralString
    sums: Mapping[LiteralString, tuple[LiteralString, LiteralString]]


_SOURCES: Mapping[Cluster, _Rows] = {
    "user": _Rows(
        "certified.fact_voice_ai_sessions",
        False,
        # a session without user is a user of its own
        {
            "user_id": "user_id",
            "anonymous_session": "case when user_id is null then session_id end",
            "anonymous_date": "case when user_id is null then session_date end",
        },
        "1",
        "(final_outcome = 'in_progress')::int",
        {m.key: (m.numerator, m.denominator) for m in METRICS.values()},
    ),
    "group of users": _Rows(
        "certified.agg_metrics_daily",
        True,
        {"user_bucket": "user_bucket"},
        "session_count",
        "in_progress_session_count",
        {key: (f"{key}_n::float8 / 1e9", f"{key}_d::float8 / 1e9") for key in METRICS},
    ),
}


def _by_day(rows: _Rows) -> LiteralString:
    sums = {"sessions": rows.sessions, "in_progress": rows.in_progress}
    sums |= {f"{key}_{part}": value for key, pair in rows.sums.items() for part, value in zip("nd", pair, strict=True)}
    names, values = ", ".join(rows.clusters), ", ".join(f"{sql} as {name}" for name, sql in rows.clusters.items())
    if rows.is_summed:
        per_cluster = ", ".join(f"{value} as {name}" for name, value in sums.items())
        grouping: LiteralString = ""
    else:
        # 0, not null, where nobody says who is a first-time caller
        per_cluster = ", ".join(f"coalesce(sum({value}), 0)::float8 as {name}" for name, value in sums.items())
        grouping = f"group by session_date, {names}"
    return f"""
with clusters as materialized (
  select session_date, {values}, {per_cluster}
  from {rows.relation}
  where session_date between %(start)s and %(end)s
  {grouping}
)
select
  session_date as day, count(*) as users, sum(sessions)::bigint as sessions, sum(in_progress)::bigint as in_progress,
  {", ".join(_moments(key) for key in METRICS)}
from clusters
group by session_date
order by session_date
"""  # constants of this module


def _by_period(rows: _Rows) -> LiteralString:
    """Both periods in one pass, because users who were there in both tie them together."""

    def both(expression: LiteralString, name: LiteralString) -> LiteralString:
        now = f"coalesce(sum({expression}) filter (where session_date >= %(start)s), 0)::float8"
        before = f"coalesce(sum({expression}) filter (where session_date < %(start)s), 0)::float8"
        return f"{now} as {name}, {before} as before_{name}"

    per_cluster = ", ".join(f"{both(n, f'{key}_n')}, {both(d, f'{key}_d')}" for key, (n, d) in rows.sums.items())
    names, values = ", ".join(rows.clusters), ", ".join(f"{sql} as {name}" for name, sql in rows.clusters.items())
    moments = ", ".join(_moments(key, prefix) for key in METRICS for prefix in ("", "before_"))
    cross = ", ".join(
        f"sum({key}_{a} * before_{key}_{b}) as {key}_x_{a}{b}" for key in METRICS for a in "nd" for b in "nd"
    )
    return f"""
with clusters as (
  select
    {values}, {both(rows.sessions, "sessions")}, {both(rows.in_progress, "in_progress")}, {per_cluster}
  from {rows.relation}
  where session_date between %(before)s and %(end)s
  group by {names}
)
select
  count(*) filter (where sessions > 0) as users, count(*) filter (where before_sessions > 0) as before_users,
  sum(sessions) as sessions, sum(before_sessions) as before_sessions,
  sum(in_progress) as in_progress, sum(before_in_progress) as before_in_progress,
  {moments}, {cross}
from clusters
"""  # constants of this module


# Composed from the constants above only; every value of a request travels as a parameter.
BY_DAY = {cluster: sql.Composed([sql.SQL(_by_day(rows))]) for cluster, rows in _SOURCES.items()}
BY_PERIOD = {cluster: sql.Composed([sql.SQL(_by_period(rows))]) for cluster, rows in _SOURCES.items()}
