"""What transcripts say, call by call: from ``raw.calls`` to ``intermediate.call_signals``, and their texts' end.

Belongs here: reading and replacing rows. Does not belong here: what a text says (``transcripts``), figures (dbt).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from voiceai_assets.transcripts.signals import Booked, Read, Signals, read, signals
from voiceai_assets.transcripts.version import code_version
from voiceai_assets.warehouse.ledger import rows

Connection = psycopg.Connection[Any]

#: Tables that repeat a call's text, and the columns in which they do. None of them is ever published.
TEXTS: Mapping[str, tuple[str, ...]] = {
    "intermediate.call_signals": ("transcript", "cleaned_text"),
    "marts.bronze_calls": ("transcript",),
    "marts.silver_calls": ("cleaned_text",),
}
_COLUMNS = (
    "call_date", "source", "call_id", "session_id", "user_id", "transcript", "cleaned_text", "is_converted",
    "upsell_amount", "offered_amount", "reversed_amount", "currency", "is_currency_mixed", "offer_count",
    "customer_turn_count", "sentiment", "sentiment_score", "signal_source", "text_is_converted",
    "text_accepted_amount", "text_offered_amount", "text_reversed_amount", "text_currency", "is_text_currency_mixed",
    "code_version", "load_id",
)  # fmt: skip


def replace_day(connection: Connection, day: str, texts_from: str | None) -> Counter[str]:
    """Read every call of a day and replace its signals, in the caller's transaction; what was found, counted.

    Of a call whose text retention took, the signals that were read from it stay: without them a day that is run again
    would lose its sales. They are taken over where the stored row was made from the same load, or where the day is so
    old that its texts are gone by rule; any other call without text says nothing.

    Args:
        connection: an open transaction.
        day: ISO day.
        texts_from: first day whose texts are kept; None where all are.
    """
    connection.execute("select pg_advisory_xact_lock(hashtext('voiceai call_signals ' || %s))", [day])
    known = {
        (row["source"], row["call_id"]): row
        for row in rows(connection, "select * from intermediate.call_signals where call_date = %s", [day])
    }
    is_old = texts_from is not None and day < texts_from
    counts: Counter[str] = Counter()
    connection.execute("delete from intermediate.call_signals where call_date = %s", [day])
    names = sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
    copy = sql.SQL("copy intermediate.call_signals ({}) from stdin").format(names)
    calls = rows(
        connection,
        "select source, call_id, coalesce(session_id, call_id) as session_id, user_id, transcript_text, is_converted, "
        "upsell_amount, currency, load_id from raw.calls where call_date = %s "
        'order by source collate "C", call_id collate "C"',
        [day],
    )
    with connection.cursor().copy(copy) as target:
        for call in calls:
            stored = known.get((call["source"], call["call_id"]))
            is_same = stored is not None and (is_old or stored["load_id"] == call["load_id"])
            row = {"call_date": day, **_row(call, stored if is_same else None)}
            target.write_row([row[name] for name in _COLUMNS])
            counts += _counted(row)
    return counts


def _row(call: Mapping[str, Any], stored: Mapping[str, Any] | None) -> dict[str, Any]:
    text = call["transcript_text"]
    found = _read_before(stored) if text is None else read(text)
    version = code_version() if text is not None else stored and stored["code_version"]
    said = signals(Booked(call["is_converted"], call["upsell_amount"], call["currency"]), found)
    return {
        **{name: call[name] for name in ("source", "call_id", "session_id", "user_id", "load_id")},
        "transcript": text,
        "cleaned_text": found.cleaned_text if found and text is not None else None,
        "code_version": version if found else None,
        **_said(said),
        **_found(found),
    }


def _said(said: Signals) -> dict[str, Any]:
    names = ("is_converted", "upsell_amount", "offered_amount", "reversed_amount", "currency", "is_currency_mixed")
    return {
        **{name: getattr(said, name) for name in names},
        "signal_source": said.signal_source.value if said.signal_source else None,
    }


def _found(found: Read | None) -> dict[str, Any]:
    return {
        "offer_count": found.offer_count if found else None,
        "customer_turn_count": found.customer_turn_count if found else None,
        "sentiment": found.sentiment if found else None,
        "sentiment_score": found.sentiment_score if found else None,
        "text_is_converted": found.is_converted if found else None,
        "text_accepted_amount": found.accepted_amount if found else None,
        "text_offered_amount": found.offered_amount if found else None,
        "text_reversed_amount": found.reversed_amount if found else None,
        "text_currency": found.currency if found else None,
        "is_text_currency_mixed": found.is_currency_mixed if found else None,
    }


def _read_before(stored: Mapping[str, Any] | None) -> Read | None:
    """What was read while there was a text."""
    if stored is None or stored["customer_turn_count"] is None:
        return None
    return Read(
        cleaned_text="",
        is_converted=stored["text_is_converted"],
        accepted_amount=stored["text_accepted_amount"],
        offered_amount=stored["text_offered_amount"],
        reversed_amount=stored["text_reversed_amount"],
        currency=stored["text_currency"],
        is_currency_mixed=stored["is_text_currency_mixed"],
        offer_count=stored["offer_count"],
        customer_turn_count=stored["customer_turn_count"],
        sentiment=stored["sentiment"],
        sentiment_score=stored["sentiment_score"],
    )


def _counted(row: Mapping[str, Any]) -> Counter[str]:
    return Counter(
        {
            "calls": 1,
            "converted": int(bool(row["is_converted"])),
            "from business events": int(row["signal_source"] == "business_event"),
            "from text": int(row["signal_source"] == "text"),
            "undecided": int(row["signal_source"] is None),
            "without text": int(row["transcript"] is None),
            "event and text disagree": int(
                row["signal_source"] == "business_event" and row["text_is_converted"] not in {None, row["is_converted"]}
            ),
            **({row["sentiment"]: 1} if row["sentiment"] else {}),
        }
    )


# -- retention ---------------------------------------------------------------------------------------------------------


def forget_texts(connection: Connection, day: str) -> None:
    """Take the texts of a day's calls out of every table that repeats them; figures stay."""
    for table, columns in _present(connection).items():
        nothing = sql.SQL(", ").join(sql.SQL("{} = null").format(sql.Identifier(name)) for name in columns)
        there = sql.SQL(" or ").join(sql.SQL("{} is not null").format(sql.Identifier(name)) for name in columns)
        connection.execute(
            sql.SQL("update {} set {} where call_date = %s and ({})").format(_identifier(table), nothing, there), [day]
        )


def wipe_texts(connection: Connection) -> None:
    """Write the tables anew: an updated row leaves its old text in the table's file until then.

    Args:
        connection: in autocommit mode, because VACUUM refuses a transaction.
    """
    for table in _present(connection):
        connection.execute(sql.SQL("vacuum (full, analyze) {}").format(_identifier(table)))


def _present(connection: Connection) -> dict[str, tuple[str, ...]]:
    found = connection.execute("select t from unnest(%s::text[]) t where to_regclass(t) is not null", [list(TEXTS)])
    return {table: TEXTS[table] for (table,) in found.fetchall()}


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))
