"""What the model may learn from: certified days, read as ``bi_reader``, with the versions they were read in.

Belongs here: SQL over ``certified``. Does not belong here: features of a session (the mart), fitting.

The caller's history is joined here and is no column of the mart: a day mart knows its own day only, and what a caller
did on other days changes when those are mended. It is taken from published sessions whose end was known before the
session started, so a row never depends on when it is asked for, only on which days are published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

import pandas as pd
import psycopg

from voiceai_assets.models.abandonment.features import KEYS, LABELS, with_labels
from voiceai_assets.models.abandonment.prefix import CATEGORICAL, NUMERIC
from voiceai_assets.warehouse.readers import is_there
from voiceai_assets.warehouse.server import Address

NO_DAY_YET = "no day is certified yet; `voiceai materialize --from DAY` makes some"
#: A start comes before an end of the same moment (is_end = 0): what ends as this session starts was not known before.
#: The same in pandas is ``features._history``.
_HISTORY = """
with sessions as (
    select session_date, session_id, user_id, started_at, final_outcome, greatest(started_at, ended_at +
        case when outcome_basis = 'inferred' then make_interval(mins => %(timeout)s) else interval '0' end) as known_at
    from certified.fact_voice_ai_sessions
    where user_id is not null and final_outcome in ('abandoned', 'completed', 'transferred', 'in_progress')
),
events as (
    select user_id, started_at as at, 0 as is_end, 0 as is_abandoned, session_date, session_id from sessions
    union all
    select user_id, known_at, 1, (final_outcome = 'abandoned')::int, null, null from sessions
    where final_outcome <> 'in_progress'
),
history as (
    select session_date, session_id, is_end, sum(is_end) over past as earlier_sessions,
        sum(is_abandoned) over past as earlier_abandoned
    from events
    window past as (partition by user_id order by at, is_end rows between unbounded preceding and current row)
)
"""
_TABLE = (
    _HISTORY
    + """
select p.session_date, p.session_id, p.k, p.user_id, p.asr_now, p.asr_mean, p.asr_min, p.asr_change, p.intent_now,
    p.error_now, p.errors_so_far, p.errors_in_row, p.log_latency, h.earlier_sessions::float8 as earlier_sessions,
    h.earlier_abandoned::float8 / nullif(h.earlier_sessions, 0) as earlier_abandoned_share,
    p.user_type, p.language, p.channel, p.region, p.module, f.final_outcome, f.started_at
from certified.feature_session_prefix p
join certified.fact_voice_ai_sessions f using (session_date, session_id)
left join history h on h.is_end = 0 and h.session_date = p.session_date and h.session_id = p.session_id
where p.session_date >= %(since)s
order by p.session_date, p.session_id collate "C", p.k
"""
)
#: By a hash of the id: neither the first day nor the longest sessions, and the same ones each time.
_AUDITED = """
with audited as (
    select session_date, session_id, user_id from certified.fact_voice_ai_sessions
    where session_date >= %(since)s and final_outcome in ('abandoned', 'completed', 'transferred')
    order by md5(session_id), session_date limit %(count)s
)
"""
_AUDITED_TURNS = (
    _AUDITED
    + """
select t.* from certified.fact_voice_ai_turns t
join audited using (session_date, session_id)
"""
)
_AUDITED_SESSIONS = (
    _AUDITED
    + """
select s.session_date, s.session_id, s.user_id, s.started_at, s.ended_at, s.final_outcome, s.outcome_basis
from certified.fact_voice_ai_sessions s
where s.user_id in (select a.user_id from audited a) or (s.session_date, s.session_id) in (
    select a.session_date, a.session_id from audited a
)
"""
)


@dataclass(frozen=True)
class CertifiedDays:
    """Prefix rows of the live certified versions with outcomes, and what each day was published as.

    ``audit``: turns of some sessions and all sessions of their callers, of the same moment, for ``audit.leaks``.
    """

    table: pd.DataFrame
    audit: tuple[pd.DataFrame, pd.DataFrame] | None
    observed_until: pd.Timestamp
    versions: Mapping[str, Mapping[str, str]]


def read_certified_days(
    reader: Address, last_days: int | None = None, *, timeout_minutes: int = 30, audited: int = 0
) -> CertifiedDays:
    """Read all certified days, or the last so many of them, in one snapshot.

    Args:
        reader: where ``bi_reader`` finds the warehouse.
        last_days: days with sessions, counted from the last one. History is taken from all days.
        timeout_minutes: silence after which an inferred end was known, of whatever source.
        audited: sessions whose turns are read as well; which ones, their ids decide.

    Returns:
        ``table`` as of ``features.prefix_table`` with ``started_at``, sessions in progress included (their labels mean
        nothing); ``versions``: day -> publication version and certificate.

    Raises:
        LookupError: when no day is certified.
    """
    with psycopg.connect(reader.libpq()) as connection:
        connection.execute("set transaction isolation level repeatable read read only")
        if not is_there(connection, "certified.feature_session_prefix"):
            raise LookupError(NO_DAY_YET)
        days = connection.execute(
            "select session_date::text, min(publication_version)::text, min(certificate_id) "
            "from certified.feature_session_prefix group by 1 order by 1 desc limit %s",
            [last_days],
        ).fetchall()
        if not days:
            raise LookupError("no day is certified now; `voiceai status` says why")
        ended = connection.execute("select max(ended_at) from certified.fact_voice_ai_sessions").fetchone()
        assert ended is not None
        since = min(day for day, *_ in days)
        table = _frame(connection, _TABLE, {"timeout": timeout_minutes, "since": since})
        of_audit = {"since": since, "count": audited}
        audit = (
            (_frame(connection, _AUDITED_TURNS, of_audit), _frame(connection, _AUDITED_SESSIONS, of_audit))
            if audited
            else None
        )
    return CertifiedDays(
        table=_typed(table),
        audit=audit,
        observed_until=pd.Timestamp(ended[0]),
        versions={day: {"version": version, "certificate": sha} for day, version, sha in sorted(days)},
    )


def _frame(
    connection: psycopg.Connection[tuple[Any, ...]], query: LiteralString, parameters: Mapping[str, Any]
) -> pd.DataFrame:
    cursor = connection.execute(query, parameters)
    assert cursor.description is not None
    return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    table = with_labels(table.astype(dict.fromkeys(NUMERIC, float)))
    columns = [*KEYS, "user_id", *NUMERIC[1:], *CATEGORICAL, *LABELS, "final_outcome", "started_at"]
    return table.assign(started_at=pd.to_datetime(table["started_at"], utc=True))[columns]
