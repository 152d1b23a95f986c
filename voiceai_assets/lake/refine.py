"""One day of one dataset: from the files that touch it to typed, pseudonymised, deduplicated Parquet and its account.

Belongs here: the path of a record into the lake or into quarantine, and counting what goes where.
Does not belong here: reading files (``parsed``), SQL of single types (``typing``), PostgreSQL.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb
import psutil
import pyarrow as pa
import pyarrow.compute as pc

from voiceai_assets.adapters import tables_for
from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.fields import Contract, Field, Kind
from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.lake.account import DayLoad, FileAccount, LakeDay, count_again, with_erasures, write_account
from voiceai_assets.lake.ahead import side_by_side
from voiceai_assets.lake.inbox import input_fingerprint
from voiceai_assets.lake.indexing import IndexedFile
from voiceai_assets.lake.jsonb import storable_json, unstorable
from voiceai_assets.lake.parquet import batches_of, rewrite, write
from voiceai_assets.lake.parsed import ParsedFiles, table_of
from voiceai_assets.lake.people import ERASED
from voiceai_assets.lake.reading import read_blocks
from voiceai_assets.lake.reading.block import literal, quoted
from voiceai_assets.lake.texts import drop_texts
from voiceai_assets.lake.words import COUNTED, count_word_errors
from voiceai_assets.privacy.pseudonyms import Pseudonymiser
from voiceai_assets.privacy.records import redact_json, redact_record, redact_row
from voiceai_assets.privacy.redaction import redact, suspects
from voiceai_assets.privacy.tombstones import Tombstones

#: Of DuckDB; more than that is spilled to HOME/lake/.spill. A process takes half a gigabyte more, whatever the day.
MEMORY_LIMIT = "600MB"
_TEXT_KEPT = 4000  # of a refused record; cut after redaction, or half a number would survive at the cut
_TEXTS_AT_ONCE = 100_000  # looked at by one thread


class Refinery:
    """Refines days one after the other; a file that holds several of them is parsed once.

    Args:
        landing, lake: roots of the two zones.
        timezone: zone of naive timestamps and of days.
        pseudonymise: keyed pseudonyms for whoever a record names.
        days: the days that will be asked for, so that a parsed file can be forgotten after the last of them.
        tombstones: whose records are refused.
        texts_from: free text of earlier days is left out (retention); None keeps all of it.
    """

    def __init__(
        self,
        landing: Path,
        lake: Path,
        timezone: str,
        pseudonymise: Pseudonymiser,
        days: Sequence[str],
        *,
        tombstones: Tombstones | None = None,
        texts_from: str | None = None,
    ) -> None:
        self._landing, self._lake, self._timezone = landing, lake, timezone
        self._pseudonymise = pseudonymise
        self._texts_from = texts_from
        self._pending = sorted(days)
        self._db = duckdb.connect()
        self._spill = _spill_folder(lake)
        self._db.execute(f"SET TimeZone = '{timezone}'; SET memory_limit = '{MEMORY_LIMIT}'")
        self._db.execute("SET enable_progress_bar = false")  # it would be drawn through ours
        # what is joined to rows is looked up for each of them: the other way round they would come out in any order
        self._db.execute("SET disabled_optimizers = 'build_side_probe_side'")
        # scratch is never kept, but each small insert would have its tables rewritten: 1.5 s of a million turns
        self._db.execute("SET checkpoint_threshold = '1TB'")
        self._db.execute("SET temp_directory = ?", [str(self._spill)])
        self._files = ParsedFiles(landing, self._db, tombstones)

    def refine(self, day: str, files: Iterable[IndexedFile]) -> list[DayLoad]:
        """Write the Parquet and the account of each dataset of a day, replacing what was there.

        The same input gives the same bytes. Turns are always written, even where there are none: a day without any
        event must fail a check and not be silent. A dataset that lost its files is written once more, empty.

        Raises:
            LandingChangedError: when a file is no longer the one that was indexed.
            LostRecordsError: when its records are not those that were counted.
        """
        inputs = sorted((f for f in files if f.home_day is not None), key=lambda f: f.path)
        self._files.ensure(inputs)
        # turns last: a call that is refused takes its own along
        in_order = sorted(DATASETS.values(), key=lambda contract: contract is TURNS)
        loads = [
            self._refine_dataset(contract, day, [f for f in inputs if f.feeds(contract.dataset, day)])
            for contract in in_order
            if self._is_due(contract.dataset, day, inputs)
        ]
        self._pending = [d for d in self._pending if d != day]
        pending = frozenset(self._pending)
        self._files.forget([f.path for f in inputs if pending.isdisjoint(f.days)])
        return loads

    def close(self) -> None:
        """Release memory and spill files."""
        self._db.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def _is_due(self, dataset: str, day: str, inputs: Sequence[IndexedFile]) -> bool:
        return (
            dataset == "turns"
            or any(f.feeds(dataset, day) for f in inputs)
            or LakeDay(self._lake, dataset, day).account.exists()
        )

    def _refine_dataset(self, contract: Contract, day: str, inputs: Sequence[IndexedFile]) -> DayLoad:
        lineage = self._pseudonymise.lineage
        load_id = input_fingerprint(contract.dataset, inputs, timezone=self._timezone, key_id=lineage)
        self._select_day(contract, day, inputs)
        self._separate_duplicates(contract)
        files = self._account(inputs)
        count_again(contract.dataset, day, inputs, files)
        load_id = with_erasures(load_id, {f.file: f.rows_erased for f in files})
        load = DayLoad(contract.dataset, day, load_id, files, self._pseudonymise.key_id)
        self._write(contract, load)
        return load

    # -- one day ---------------------------------------------------------------------------------------------------

    def _select_day(self, contract: Contract, day: str, inputs: Sequence[IndexedFile]) -> None:
        """The day's records; what is written from them is put into reading order as it is written."""
        paths = [f.path for f in inputs]
        self._db.execute(f"CREATE OR REPLACE TEMP VIEW today AS {self._files.day_sql(contract, day, paths)}")

    def _separate_duplicates(self, contract: Contract) -> None:
        """Under one identity the first record stays; equal ones are counted, different ones are refused.

        Identities are compared by hash first; whole records only where a hash repeats, which is rare.
        """
        content = ", ".join(quoted(f.name) for f in contract.fields)
        self._db.execute(
            f"CREATE OR REPLACE TEMP TABLE identities AS SELECT position, {_identity(contract)} AS identity "
            "FROM today WHERE refusal IS NULL"
        )
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE repeated AS WITH many AS ("
            "  SELECT identity FROM identities GROUP BY identity HAVING count(*) > 1), "
            "candidates AS ("
            f"  SELECT t.position, t.source_file, t.line, i.identity, md5(CAST(({content}) AS VARCHAR)) AS content, "
            "  row_number() OVER (PARTITION BY i.identity ORDER BY t.source_file, t.line, t.position) AS place "
            "  FROM today t JOIN identities i USING (position) JOIN many USING (identity)) "
            "SELECT c.position, c.source_file, c.line, c.content = f.content AS is_exact "
            "FROM candidates c JOIN candidates f ON f.identity = c.identity AND f.place = 1 WHERE c.place > 1"
        )
        self._refuse_conflicts(contract)

    def _refuse_conflicts(self, contract: Contract) -> None:
        """Refuse records under an identity that another one has, with their text; a call takes its turns with it."""
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE conflicting AS "
            "SELECT position, source_file, line, CAST(NULL AS VARCHAR) AS text FROM repeated WHERE NOT is_exact"
        )
        files = self._db.execute("SELECT DISTINCT source_file FROM conflicting ORDER BY 1").fetchall()
        if not files:
            return
        for (file,) in files:
            self._add_texts_of(file)
        named = ", ".join(part.replace("|", " or ") for part in contract.identity)
        refused = f"refusal = ['identity_conflict', {literal(f'another record with the same {named} came first')}]"
        parsed = table_of(contract)
        self._db.execute(
            f"UPDATE {parsed} SET {refused}, text = c.text FROM conflicting c WHERE {parsed}.rowid = c.position"
        )
        parts = {table.contract for (file,) in files for table in tables_for(file) if table.explode}
        for parsed in map(table_of, parts - {contract}):
            self._db.execute(
                f"UPDATE {parsed} SET {refused}, text = c.text FROM conflicting c "
                f"WHERE ({parsed}.source_file, {parsed}.line) = (c.source_file, c.line) AND refusal IS NULL"
            )

    def _add_texts_of(self, file: str) -> None:
        """Texts of a file's records in conflict: read again, because keeping every text would double a day's memory."""
        for block in read_blocks(self._landing / file):
            self._db.register("block", block.rows)
            self._db.execute(
                f"UPDATE conflicting SET text = b.text FROM (SELECT line, {block.text_sql()} AS text FROM block) b "
                "WHERE source_file = ? AND conflicting.line = b.line",
                [file],
            )
            self._db.unregister("block")

    def _account(self, inputs: Sequence[IndexedFile]) -> tuple[FileAccount, ...]:
        rows = self._db.execute(
            "SELECT t.source_file, count(*), count(*) FILTER (refusal IS NULL AND r.position IS NULL), "
            "count(*) FILTER (refusal IS NOT NULL), count(*) FILTER (refusal IS NULL AND r.position IS NOT NULL), "
            f"count(*) FILTER (refusal[1] = {literal(ERASED)}) "
            "FROM today t LEFT JOIN repeated r USING (position) GROUP BY 1"
        ).fetchall()
        counts: Mapping[str, tuple[int, int, int, int]] = {row[0]: row[1:5] for row in rows}
        erased: Mapping[str, int] = {row[0]: row[5] for row in rows}
        return tuple(
            FileAccount(
                f.path,
                f.sha256,
                f.size_bytes,
                *counts.get(f.path, (0, 0, 0, 0)),
                is_truncated=self._files.is_truncated(f.path),
                problem=self._files.problem(f.path),
                rows_erased=erased.get(f.path, 0),
                is_open_ended=self._files.is_open_ended(f.path),
            )
            for f in inputs
        )

    # -- writing ---------------------------------------------------------------------------------------------------

    def _write(self, contract: Contract, load: DayLoad) -> None:
        target = LakeDay(self._lake, load.dataset, load.day)
        people = self._people(contract.person) if contract.person else []
        self._replacements("pseudonyms", people, self._pseudonymise)
        suspicious = self._suspects(contract)
        for name, originals in suspicious.items():
            clean = redact if contract.of(name).kind is Kind.TEXT else _clean_document
            self._replacements(f"clean_{name}", originals, clean)
        columns, joins = [], []
        counted = COUNTED if contract is TURNS and count_word_errors(self._db, "today", "word_errors") else ()
        joins += ["LEFT JOIN word_errors USING (position)"] if counted else []
        for field in contract.fields:
            name, clean_name = quoted(field.name), f"clean_{field.name}"
            original = _as_text(field, f"t.{name}")
            if field.name in counted:
                columns.append(f"coalesce(t.{name}, word_errors.{name}) AS {name}")
            elif field.person:
                columns.append(f"pseudonyms.clean AS {name}")
                joins.append(f"LEFT JOIN pseudonyms ON pseudonyms.original = {original}")
            elif field.name in suspicious:
                columns.append(f"coalesce({_from_text(field, f'{clean_name}.clean')}, t.{name}) AS {name}")
                joins.append(f"LEFT JOIN {clean_name} ON {clean_name}.original = {original}")
            else:
                columns.append(f"t.{name}")
        self._copy(
            f"SELECT {', '.join(columns)}, source, {contract.day_column}, source_file, line AS source_line, "
            f"invalid_fields, '{load.load_id}' AS load_id FROM today t {' '.join(joins)} "
            f"ANTI JOIN repeated USING (position) WHERE refusal IS NULL {self._in_order()}",
            target.rows,
        )
        self._write_quarantine(load, target)
        if self._texts_from is not None and load.day < self._texts_from:
            drop_texts(target, self._db)
        write_account(target, load)

    def _in_order(self) -> str:
        """ORDER BY that puts the day into reading order, or nothing where it is in it already.

        Files are read one after the other, DuckDB keeps the order of what it inserted, and one thread gives rows in it.
        Only where a file was read before another one, for an earlier day, must rows be sorted: a third of the writing.
        """
        spans = self._db.execute(
            "SELECT source_file, min(position), max(position) FROM today GROUP BY 1 ORDER BY 1"
        ).fetchall()
        is_sorted = all(last < first for (_, _, last), (_, first, _) in itertools.pairwise(spans))
        return "" if is_sorted else "ORDER BY source_file, line, position"

    def _write_quarantine(self, load: DayLoad, target: LakeDay) -> None:
        """Refused records are foreign, and mostly few: each is redacted in Python, as a whole."""
        refused = self._db.sql(
            "SELECT source_file AS file, line, refusal[1] AS reason, refusal[2] AS message, "
            "left(text, 20000) AS raw_text FROM today WHERE refusal IS NOT NULL ORDER BY source_file, line, position"
        )
        place = {"day": pa.scalar(date.fromisoformat(load.day)), "load_id": pa.scalar(load.load_id)}
        _make_way(target.quarantine)
        with batches_of(refused) as (_, batches):
            write(target.quarantine, QUARANTINE, (self._without_persons(batch, place) for batch in batches))

    def _without_persons(self, refused: pa.RecordBatch, place: Mapping[str, pa.Scalar]) -> pa.RecordBatch:
        """Refused records as they may be shown, with their place; what stands in many of them is redacted once."""
        columns = refused.to_pydict()
        messages = {message: redact(message) for message in set(columns["message"])}
        records = list(zip(columns["file"], columns["raw_text"], strict=True))
        whole = {record for record in records if record[1] is not None}
        texts = {(file, text): self._redacted(file, text)[:_TEXT_KEPT] for file, text in whole}
        shown = {
            **{name: columns[name] for name in ("file", "line", "reason")},
            "message": [messages[message] for message in columns["message"]],
            "raw_text": list(map(texts.get, records)),
            **{name: pa.repeat(value, refused.num_rows) for name, value in place.items()},
        }
        return pa.record_batch(shown, schema=QUARANTINE)

    def _redacted(self, path: str, text: str) -> str:
        header = self._files.header(path)
        return redact_row(text, *header) if header else redact_record(text)

    def _suspects(self, contract: Contract) -> dict[str, list[str]]:
        """Field -> values of the day that may not stay as they are; fields without any are left out.

        A label has few values in a day, so each is looked at once; texts seldom repeat, and to find that out costs more
        than to look twice.
        """
        fields = [f for f in contract.fields if f.free_text or f.is_label]
        if not fields:
            return {}
        query = " UNION ALL ".join(
            f"SELECT {'DISTINCT' if field.is_label else ''} {literal(field.name)} AS field, "
            f"{field.kind is not Kind.TEXT} AS is_json, {_as_text(field, quoted(field.name))} AS text FROM today "
            f"WHERE refusal IS NULL AND {quoted(field.name)} IS NOT NULL"
            for field in fields
        )
        found: dict[str, set[str]] = {}
        with self._db.sql(query).to_arrow_reader(_TEXTS_AT_ONCE) as values:
            for batch in side_by_side(_only_suspects, values):
                for name, text in zip(*batch.select(["field", "text"]).to_pydict().values(), strict=True):
                    found.setdefault(name, set()).add(text)
        return {name: sorted(texts) for name, texts in found.items()}

    def _people(self, column: str) -> list[str]:
        """Whom the day names, each once."""
        query = f"SELECT DISTINCT CAST({quoted(column)} AS VARCHAR) FROM today WHERE refusal IS NULL"
        return [row[0] for row in self._db.execute(f"{query} AND {quoted(column)} IS NOT NULL").fetchall()]

    def _replacements(self, name: str, originals: Sequence[str], replace: Callable[[str], str]) -> None:
        """Table ``(original, clean)`` of what a Python function makes of values."""
        table = pa.table({"original": originals, "clean": [replace(o) for o in originals]}, REPLACEMENTS)
        self._db.register("replacements", table)
        self._db.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM replacements")
        self._db.unregister("replacements")

    def _copy(self, query: str, path: Path) -> None:
        _make_way(path)
        self._db.execute("SET threads = 1")  # several give joined rows in an order that is another each time
        try:
            rewrite(self._db, query, path)
        finally:
            self._db.execute("RESET threads")


REPLACEMENTS = pa.schema([("original", pa.string()), ("clean", pa.string())])
QUARANTINE = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("reason", pa.string()),
        ("message", pa.string()),
        ("raw_text", pa.string()),
        ("day", pa.date32()),
        ("load_id", pa.string()),
    ]
)


def _identity(contract: Contract) -> str:
    """Hash of the fields that tell rows apart; ``a|b`` is b where a is null."""
    parts = [
        f"coalesce({', '.join(f'CAST({quoted(name)} AS VARCHAR)' for name in part.split('|'))})"
        for part in contract.identity
    ]
    return f"hash(source, {', '.join(parts)})"


def _as_text(field: Field, value: str) -> str:
    """DuckDB: a value as redaction reads it; a list is a document, for a mark's brackets must not end it."""
    return f"CAST({f'to_json({value})' if field.kind is Kind.TEXT_LIST else value} AS VARCHAR)"


def _from_text(field: Field, text: str) -> str:
    """DuckDB: the value that a redacted text stands for."""
    return f"CAST({f'CAST({text} AS JSON)' if field.kind is Kind.TEXT_LIST else text} AS {field.kind.duckdb})"


def _only_suspects(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Of texts those that redaction might change; of documents those, too, that PostgreSQL might not store."""
    texts, is_json = batch.column("text"), batch.column("is_json")
    mask = suspects(texts)
    if is_json.true_count:
        mask = pc.or_(mask, pc.and_(is_json, unstorable(texts)))
    return batch.filter(mask)


def _clean_document(text: str) -> str:
    return redact_json(storable_json(text) if unstorable(pa.array([text]))[0].as_py() else text)


def _spill_folder(lake: Path) -> Path:
    """A folder for what does not fit into memory, which is not redacted yet; what killed runs left in theirs goes."""
    root = lake / ".spill"
    for left in root.glob("*"):
        pid = left.name.split("-")[0]
        if not pid.isdigit() or not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    root.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))


def _make_way(path: Path) -> None:
    """Have its folder, without what runs that were killed left of this file; a run that is alive keeps its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for draft in path.parent.glob(f".{path.name}.*"):
        pid = draft.suffix.removeprefix(".")
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            draft.unlink(missing_ok=True)
