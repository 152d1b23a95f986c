"""Word errors of turns of which a person wrote down what was said (``extra.reference_transcript``).

Counted before redaction and kept as numbers: a day whose texts retention took keeps its word error rate.
Belongs here: which rows, and their counts as a table. Does not belong here: what a word error is
(``transcripts.words``).
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from voiceai_assets.transcripts.words import word_errors

#: Fields of a turn that are worked out here where the emitter does not send them.
COUNTED = ("reference_word_count", "word_error_count")
_AT_ONCE = 50_000
_SHAPE = pa.schema([("position", pa.int64()), *((name, pa.int64()) for name in COUNTED)])


def count_word_errors(db: duckdb.DuckDBPyConnection, relation: str, table: str) -> bool:
    """Make a temporary table ``(position, reference_word_count, word_error_count)``; False where nothing is to count.

    Args:
        db: where the rows are.
        relation: rows with ``position``, ``user_text`` and ``extra``.
        table: name of the table.
    """
    # the text first: it spares a million records without transcript the parsing of their JSON
    texts = db.sql(
        "SELECT position, user_text, reference FROM (SELECT position, user_text, "
        "CASE WHEN contains(CAST(extra AS VARCHAR), '\"reference_transcript\"') "
        "AND json_type(extra, '$.reference_transcript') = 'VARCHAR' "
        f"THEN extra ->> '$.reference_transcript' END AS reference FROM {relation} "
        "WHERE extra IS NOT NULL AND refusal IS NULL) WHERE reference IS NOT NULL"
    )
    with texts.to_arrow_reader(_AT_ONCE) as rows:
        counted = [_counted(batch) for batch in rows]
    if not any(batch.num_rows for batch in counted):
        return False
    db.register("counted", pa.Table.from_batches(counted, _SHAPE))
    db.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM counted")
    db.unregister("counted")
    return True


def _counted(batch: pa.RecordBatch) -> pa.RecordBatch:
    places, heard, said = (batch.column(name).to_pylist() for name in ("position", "user_text", "reference"))
    counts = [word_errors(reference, recognised) for reference, recognised in zip(said, heard, strict=True)]
    return pa.record_batch([places, [n for n, _ in counts], [errors for _, errors in counts]], schema=_SHAPE)
