"""Scores beside the rows they were computed from: visible as a whole or not at all.

Belongs here: writing them, and the count that must fit before anybody sees them. Does not belong here: scoring.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    import pandas as pd

Connection = psycopg.Connection[Any]
COLUMNS = ("session_date", "session_id", "k", "model_version", "certificate_id", "hazard", "landmark")


class ScoresError(RuntimeError):
    """The scores do not fit the published rows; nothing became visible."""


def unscored_days(connection: Connection, model_version: str) -> list[str]:
    """Published days without scores of this version for the certificate that is live now."""
    found = connection.execute(
        "select p.day::text from governance.publications p where p.mart = 'feature_session_prefix' and p.is_live "
        "and p.row_count > 0 and not exists (select from governance.abandonment_scores s where s.session_date = p.day "
        "and s.certificate_id = p.certificate_id and s.model_version = %s) order by 1",
        [model_version],
    ).fetchall()
    return [day for (day,) in found]


def publish_scores(
    connection: Connection, model_version: str, scored: pd.DataFrame, certificates: Mapping[str, str]
) -> int:
    """Write the scores of some days and point readers to this version; returns how many rows are visible.

    Args:
        connection: an open transaction; everything becomes visible at its commit.
        model_version: of the champion.
        scored: ``session_date`` (text), ``session_id``, ``k``, ``hazard``, ``landmark``.
        certificates: day -> certificate that the rows were read under.

    Raises:
        ScoresError: when a day was published anew meanwhile or rows are missing.
    """
    connection.execute("select pg_advisory_xact_lock(hashtext('voiceai scores'))")
    connection.execute("delete from governance.abandonment_scores where session_date = any(%s)", [[*certificates]])
    with connection.cursor().copy(f"copy governance.abandonment_scores ({', '.join(COLUMNS)}) from stdin") as copy:
        for day, session_id, k, hazard, landmark in scored.itertuples(index=False, name=None):
            copy.write_row((day, session_id, int(k), model_version, certificates[day], hazard, landmark))
    connection.execute(
        "insert into governance.abandonment_champion (model_version) values (%s) "
        "on conflict (is_only_row) do update set model_version = excluded.model_version",
        [model_version],
    )
    _forget_what_nobody_sees(connection)
    wrong = connection.execute(
        "select p.day::text, p.row_count, count(s.k) from governance.publications p "
        "left join certified.abandonment_scores s on s.session_date = p.day "
        "where p.mart = 'feature_session_prefix' and p.is_live and p.day = any(%s) "
        "group by 1, 2 having p.row_count <> count(s.k)",
        [[*certificates]],
    ).fetchall()
    if wrong:
        day, expected, found = wrong[0]
        raise ScoresError(
            f"{day} has {expected:,} published turns and {found:,} scores; it may have been published anew"
        )
    seen = connection.execute("select count(*) from certified.abandonment_scores").fetchone()
    return int(seen[0]) if seen else 0


def forget_scores(connection: Connection, sessions: list[str]) -> int:
    """Delete the scores of some sessions; returns how many rows went."""
    return connection.execute(
        "delete from governance.abandonment_scores where session_id = any(%s)", [sessions]
    ).rowcount


def _forget_what_nobody_sees(connection: Connection) -> None:
    """Scores by another version, or of rows that are no longer live: what a person was forgotten in must not stay."""
    connection.execute(
        "delete from governance.abandonment_scores s where not exists (select from certified.abandonment_scores seen "
        "where seen.session_date = s.session_date and seen.session_id = s.session_id and seen.k = s.k "
        "and seen.model_version = s.model_version and seen.certificate_id = s.certificate_id)"
    )
