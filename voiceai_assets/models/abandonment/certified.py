"""What the model may learn from: certified days, read as ``bi_reader``, with the versions they were read in.

Belongs here: SQL over ``certified``. Does not belong here: features, fitting.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import psycopg

from voiceai_assets.warehouse.server import Address

_TURNS = (
    "session_date, session_id, turn_number, turn_at, speaker, is_user_turn, user_id, channel, user_type, region, "
    "language, module, intent_confidence, asr_confidence, error_type, is_error_turn, total_ms"
)
_SESSIONS = (
    "session_date, session_id, user_id, channel, user_type, region, language, started_at, ended_at, final_outcome, "
    "outcome_basis"
)


@dataclass(frozen=True)
class CertifiedDays:
    """Turns and sessions of the live certified versions, and each day's certificate."""

    turns: pd.DataFrame
    sessions: pd.DataFrame
    certificates: dict[str, str]


def read_certified_days(reader: Address, last_days: int | None = None) -> CertifiedDays:
    """Read all certified days, or the last so many of them, in one snapshot.

    Raises:
        LookupError: when no day has ever been certified.
    """
    with psycopg.connect(reader.libpq()) as connection:
        connection.execute("set transaction isolation level repeatable read read only")
        known = connection.execute("select to_regclass('certified.fact_voice_ai_sessions') is not null").fetchone()
        if known != (True,):
            raise LookupError("no day is certified yet; `voiceai materialize --from DAY` makes some")
        days = connection.execute(
            "select session_date::text, min(certificate_id) from certified.fact_voice_ai_sessions "
            "group by 1 order by 1 desc limit %s",
            [last_days],
        ).fetchall()
        if not days:
            raise LookupError("no day is certified now; `voiceai status` says why")
        certificates: dict[str, str] = dict(sorted(days))
        since = min(certificates)
        return CertifiedDays(
            turns=_frame(
                connection, f"select {_TURNS} from certified.fact_voice_ai_turns where session_date >= %s", since
            ),
            sessions=_frame(
                connection, f"select {_SESSIONS} from certified.fact_voice_ai_sessions where session_date >= %s", since
            ),
            certificates=certificates,
        )


def _frame(connection: psycopg.Connection[tuple[object, ...]], query: str, since: str) -> pd.DataFrame:
    cursor = connection.execute(query, [since])
    assert cursor.description is not None
    return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])
