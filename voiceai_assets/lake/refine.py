"""One day of one dataset: from the files that touch it to typed, pseudonymised, deduplicated Parquet and its account.

Belongs here: the path of a record into the lake or into quarantine, and the account of every record.
Does not belong here: SQL of single types (``typing``), which files there are (``inbox``), PostgreSQL.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import duckdb
import psutil
import pyarrow as pa
import pyarrow.compute as pc

from voiceai_assets.adapters import tables_for
from voiceai_assets.adapters.base import Table
from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.fields import Contract, Field, Kind
from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.lake.ahead import one_ahead, side_by_side
from voiceai_assets.lake.companions import lookup_table
from voiceai_assets.lake.gathering import Gathered, gather, with_constant
from voiceai_assets.lake.inbox import IndexedFile, input_fingerprint, readable_blocks, stat_of
from voiceai_assets.lake.jsonb import storable_json, unstorable
from voiceai_assets.lake.parquet import rewrite
from voiceai_assets.lake.people import ERASED, ERASED_MESSAGE, erased_sql, names_people
from voiceai_assets.lake.reading import Block, UnreadableFileError, read_blocks
from voiceai_assets.lake.reading.block import literal, quoted
from voiceai_assets.lake.texts import drop_texts
from voiceai_assets.lake.typing import given_fields, known_columns, narrowed, typed_rows_sql
from voiceai_assets.lake.words import COUNTED, count_word_errors
from voiceai_assets.privacy.pseudonyms import Pseudonymiser
from voiceai_assets.privacy.records import redact_json, redact_record, redact_row
from voiceai_assets.privacy.redaction import redact, suspects
from voiceai_assets.privacy.tombstones import Tombstones

#: Of DuckDB; more than that is spilled to HOME/lake/.spill. A process takes half a gigabyte more, whatever the day.
MEMORY_LIMIT = "600MB"
_TEXT_KEPT = 4000  # of a refused record; cut after redaction, or half a number would survive at the cut
_TEXTS_AT_ONCE = 100_000  # looked at by one thread


class LandingChangedError(RuntimeError):
    """A file changed between being indexed and being read; running the day again reads the new content."""


class LostRecordsError(RuntimeError):
    """Records that were read are booked nowhere, or others than were counted; nothing of the day was written."""


class _End(NamedTuple):
    """How a file ends: line of its last record, and what its last block says."""

    last_line: int
    is_cut_off: bool
    is_damaged: bool
    is_csv: bool


@dataclass(frozen=True)
class FileAccount:
    """Where every record of one file went, for one day: ``rows_in`` = loaded + quarantined + duplicate."""

    file: str
    sha256: str
    size_bytes: int
    rows_in: int
    rows_loaded: int
    rows_quarantined: int
    rows_duplicate: int
    is_truncated: bool
    problem: str | None = None
    rows_erased: int = 0  # among the quarantined: records of somebody who was forgotten
    is_open_ended: bool = False  # CSV without its last line's end: whether the last cell is whole nobody can tell


@dataclass(frozen=True)
class DayLoad:
    """One day of one dataset in the lake."""

    dataset: str
    day: str
    load_id: str
    files: tuple[FileAccount, ...]
    key_id: str = ""  # under which its pseudonyms were made; the load id names the first key of the chain only

    @property
    def rows_in(self) -> int:
        """Records of the day in all its files."""
        return sum(f.rows_in for f in self.files)

    @property
    def rows_loaded(self) -> int:
        """Records that became rows."""
        return sum(f.rows_loaded for f in self.files)

    @property
    def rows_quarantined(self) -> int:
        """Records that could not become rows."""
        return sum(f.rows_quarantined for f in self.files)

    @property
    def rows_duplicate(self) -> int:
        """Records that repeat another one exactly."""
        return sum(f.rows_duplicate for f in self.files)

    @property
    def rows_erased(self) -> int:
        """Refused records of somebody who was forgotten."""
        return sum(f.rows_erased for f in self.files)


def with_erasures(load_id: str, erased: Mapping[str, int]) -> str:
    """The load id of rows from which records of the forgotten were left out; the same id where none was.

    The same files give other rows once somebody was forgotten, so the load before must not lend them its verdict. File
    -> number of records is enough to tell loads apart: tombstones are only ever added.
    """
    refused = sorted((file, count) for file, count in erased.items() if count)
    return hashlib.sha256(json.dumps([load_id, refused]).encode()).hexdigest()[:16] if refused else load_id


@dataclass(frozen=True)
class LakeDay:
    """Paths of one day in the lake."""

    root: Path
    dataset: str
    day: str

    @property
    def rows(self) -> Path:
        """The typed rows."""
        return self.root / self.dataset / f"date={self.day}" / "rows.parquet"

    @property
    def quarantine(self) -> Path:
        """The refused records, with file, line and reason."""
        return self.root / "quarantine" / self.dataset / f"date={self.day}" / "rows.parquet"

    @property
    def account(self) -> Path:
        """The account; the leading underscore hides it from readers of the Parquet folder."""
        return self.rows.with_name("_account.json")

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file of the day, the account last: where it is, the others are."""
        return (self.rows, self.quarantine, self.account)

    def read_account(self) -> DayLoad:
        """The account as it was written.

        Raises:
            FileNotFoundError: when the day is not in the lake.
        """
        found = json.loads(self.account.read_text())
        found["files"] = tuple(FileAccount(**f) for f in found["files"])
        return DayLoad(**found)


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
        self._tombstones, self._texts_from = tombstones, texts_from
        self._pending = sorted(days)
        self._truncated: dict[str, bool] = {}
        self._open_ended: set[str] = set()
        self._problems: dict[str, str] = {}
        self._headers: dict[str, tuple[tuple[str, ...], str]] = {}  # of CSV files: columns and delimiter
        self._db = duckdb.connect()
        self._spill = _spill_folder(lake)
        self._db.execute(f"SET TimeZone = '{timezone}'; SET memory_limit = '{MEMORY_LIMIT}'")
        self._db.execute("SET enable_progress_bar = false")  # it would be drawn through ours
        # scratch is never kept, but each small insert would have its tables rewritten: 1.5 s of a million turns
        self._db.execute("SET checkpoint_threshold = '1TB'")
        self._db.execute("SET temp_directory = ?", [str(self._spill)])
        self._stored: dict[str, set[str]] = {}  # dataset -> fields that have a column
        for contract in DATASETS.values():
            self._create_table(contract)
        self._filled: set[str] = set()  # datasets

    def refine(self, day: str, files: Iterable[IndexedFile]) -> list[DayLoad]:
        """Write the Parquet and the account of each dataset of a day, replacing what was there.

        The same input gives the same bytes. Turns are always written, even where there are none: a day without any
        event must fail a check and not be silent. A dataset that lost its files is written once more, empty.

        Raises:
            LandingChangedError: when a file is no longer the one that was indexed.
        LostRecordsError: when its records are not those that were counted.
        """
        inputs = sorted((f for f in files if f.home_day is not None), key=lambda f: f.path)
        self._ensure_parsed(inputs)
        loads = [
            self._refine_dataset(contract, day, [f for f in inputs if f.feeds(contract.dataset, day)])
            for contract in DATASETS.values()
            if self._is_due(contract.dataset, day, inputs)
        ]
        self._pending = [d for d in self._pending if d != day]
        pending = frozenset(self._pending)
        self._forget([f.path for f in inputs if pending.isdisjoint(f.days)])
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
        _count_again(contract.dataset, day, inputs, files)
        load_id = with_erasures(load_id, {f.file: f.rows_erased for f in files})
        load = DayLoad(contract.dataset, day, load_id, files, self._pseudonymise.key_id)
        self._write(contract, load)
        return load

    # -- reading ---------------------------------------------------------------------------------------------------

    def _create_table(self, contract: Contract) -> None:
        """For the records that were read and not yet forgotten.

        Fields come when a record has them: to store sixty columns of a million records takes a fifth longer than the
        twenty that an emitter sends.
        """
        self._db.execute(
            f"CREATE OR REPLACE TABLE {_parsed(contract)} (source VARCHAR, source_file VARCHAR, line BIGINT, "
            f"refusal VARCHAR[], text VARCHAR, {contract.day_column} DATE, invalid_fields VARCHAR[])"
        )
        self._stored[contract.dataset] = set()

    def _store(self, contract: Contract, fields: Iterable[Field]) -> None:
        """Have columns for these fields."""
        stored = self._stored[contract.dataset]
        for field in fields:
            if field.name not in stored:
                self._db.execute(f"ALTER TABLE {_parsed(contract)} ADD COLUMN {quoted(field.name)} {field.kind.duckdb}")
                stored.add(field.name)

    def _ensure_parsed(self, files: Sequence[IndexedFile]) -> None:
        """Read what was not read yet; all of it or, where something goes wrong, nothing."""
        new = {f.path: f for f in files if f.path not in self._truncated}
        readable = {path: f for path, f in new.items() if f.problem is None}
        found_in: Counter[str] = Counter()
        ends: dict[str, _End] = {}
        problems: dict[str, UnreadableFileError] = {}
        try:
            for found in one_ahead(gather(self._blocks(readable, found_in, ends, problems))):
                self._parse(found)
            if changed := next((path for path, f in new.items() if stat_of(self._landing, path) != f.stat), None):
                raise LandingChangedError(f"{changed} changed while it was being read; run the day again")
            self._drop(list(problems))
            self._miss_none({path: n for path, n in found_in.items() if path not in problems})
        except Exception:
            self._forget(list(new))
            raise
        self._truncated |= self._which_break_off(new, ends)
        self._open_ended |= {path for path, end in ends.items() if end.is_csv and end.is_cut_off}
        self._problems |= {path: str(error) for path, error in problems.items()}
        self._problems |= {path: f.problem for path, f in new.items() if f.problem}
        if self._tombstones:
            self._refuse_erased(list(new), self._tombstones)

    def _miss_none(self, found_in: Mapping[str, int]) -> None:
        """Compare what the readers gave with what is there to be booked, whatever its table and its day.

        Raises:
            LostRecordsError: when a record of a file is a row, or a refusal, of no table.
        """
        for tables, paths in self._by_tables(found_in).items():
            datasets = sorted({table.contract for table in tables}, key=lambda contract: contract.dataset)
            rows = " UNION ALL ".join(f"SELECT source_file, line FROM {_parsed(contract)}" for contract in datasets)
            # to count lines once takes ten times as long as to count rows
            is_one_to_one = len(tables) == 1 and tables[0].explode is None
            counted = "count(*)" if is_one_to_one else "count(DISTINCT line)"
            query = f"SELECT source_file, {counted} FROM ({rows}) GROUP BY 1"
            booked: dict[str, int] = dict(self._db.execute(query).fetchall())
            if missed := next((path for path in paths if booked.get(path, 0) != found_in[path]), None):
                raise LostRecordsError(
                    f"{missed}: {found_in[missed]:,} records were read and {booked.get(missed, 0):,} would be booked; "
                    "a mapping of its adapter leaves records out"
                )

    @staticmethod
    def _by_tables(paths: Iterable[str]) -> dict[tuple[Table, ...], list[str]]:
        found: dict[tuple[Table, ...], list[str]] = {}
        for path in paths:
            found.setdefault(tables_for(path), []).append(path)
        return found

    def _blocks(
        self,
        files: Mapping[str, IndexedFile],
        found_in: Counter[str],
        ends: dict[str, _End],
        problems: dict[str, UnreadableFileError],
    ) -> Iterator[tuple[str, Block]]:
        """Blocks of files in turn; besides, of each: header, records, how it ends, and why it cannot be read."""
        for path, block in readable_blocks(self._landing, files, problems):
            if block.delimiter:
                self._headers[path] = (block.columns or (), block.delimiter)
            found_in[path] += block.rows.num_rows
            if block.rows.num_rows:
                is_csv = path in self._headers
                ends[path] = _End(block.last_line, block.is_cut_off, block.is_damaged, is_csv)
            yield path, with_constant(block, "home_day", files[path].home_day or "")

    def _refuse_erased(self, paths: Sequence[str], tombstones: Tombstones) -> None:
        """Records of the forgotten are refused without their text, those that could not be read as well."""
        for contract, those in self._by_contract(paths).items():
            parsed, of_files = _parsed(contract), f"source_file IN ({_literals(those)})"
            refuse = f"UPDATE {parsed} SET refusal = [{literal(ERASED)}, {literal(ERASED_MESSAGE)}], text = NULL"
            if names_people(contract):
                self._store(contract, contract.fields)
                relation = f"(SELECT * FROM {parsed} WHERE {of_files})"
                condition = erased_sql(self._db, relation, contract, tombstones.has_person, tombstones)
                if condition is not None:
                    self._db.execute(f"{refuse} WHERE {of_files} AND {condition}")
            # what was refused for another reason may still speak of them
            unread = f"SELECT rowid, text FROM {parsed} WHERE {of_files} AND text IS NOT NULL"
            theirs = [row for row, text in self._db.execute(unread).fetchall() if tombstones.named_in(text)]
            if theirs:
                self._db.execute(f"{refuse} WHERE rowid IN ({', '.join(map(str, theirs))})")

    def _parse(self, found: Gathered) -> None:
        block = found.block
        self._db.register("block", block.rows)
        keys = self._keys_of(block)
        has_unknown_keys = not keys <= frozenset().union(*(known_columns(table) for table in found.tables))
        for table in found.tables:
            is_first = table is found.tables[0]
            contract = table.contract
            self._filled.add(contract.dataset)
            mapped = narrowed(table, keys & known_columns(table))
            given = given_fields(mapped)
            self._store(contract, given)
            query = typed_rows_sql(
                mapped,
                block,
                "block",
                is_first=is_first,
                # kept once, also where one record becomes several rows
                has_unknown_keys=(is_first or table.explode is None) and has_unknown_keys,
                lookup=lookup_table(self._landing, found.path, table, self._db),
                kept=("file", "home_day"),
            )
            day = contract.day_column
            self._db.execute(
                f"INSERT INTO {_parsed(contract)} BY NAME "
                f"SELECT ? AS source, file AS source_file, line, refusal, text, "
                f"{', '.join(quoted(f.name) for f in given)}, "
                f"coalesce({day}, CAST(home_day AS DATE)) AS {day}, invalid_fields FROM ({query})",
                [PurePosixPath(found.path).parts[0]],
            )
        self._db.unregister("block")

    def _keys_of(self, block: Block) -> frozenset[str]:
        """What any record of a block calls its values."""
        if block.keys_sql is None:
            return frozenset(block.columns or ())
        query = f"SELECT DISTINCT unnest({block.keys_sql}) FROM block WHERE problem IS NULL"
        return frozenset(key for (key,) in self._db.execute(query).fetchall())

    def _which_break_off(self, paths: Iterable[str], ends: Mapping[str, _End]) -> dict[str, bool]:
        """A file breaks off when its archive does, or when its last record has neither an end nor a whole content."""
        found = {path: path in ends and ends[path].is_damaged for path in paths}
        open_ended = [path for path, end in ends.items() if end.is_cut_off and not end.is_damaged]
        for contract, those in self._by_contract(open_ended, first_only=True).items():
            last = pa.table({"file": those, "line": [ends[path].last_line for path in those]})
            self._db.register("last_records", last)
            refused = self._db.execute(
                f"SELECT DISTINCT file FROM last_records r JOIN {_parsed(contract)} p "
                "ON p.source_file = r.file AND p.line = r.line WHERE p.refusal[1] IN ('unreadable', 'wrong_shape')"
            ).fetchall()
            found |= dict.fromkeys((path for (path,) in refused), True)
            self._db.unregister("last_records")
        return found

    @staticmethod
    def _by_contract(paths: Iterable[str], *, first_only: bool = False) -> dict[Contract, list[str]]:
        """The files of each contract; with ``first_only`` of the one that unreadable records are booked on."""
        found: dict[Contract, list[str]] = {}
        for path in paths:
            for table in tables_for(path)[: 1 if first_only else None]:
                found.setdefault(table.contract, []).append(path)
        return found

    def _drop(self, paths: Sequence[str]) -> None:
        for contract, those in self._by_contract(paths).items():
            self._db.execute(f"DELETE FROM {_parsed(contract)} WHERE source_file IN ({_literals(those)})")

    def _forget(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._truncated.pop(path, None)
            self._problems.pop(path, None)
            self._open_ended.discard(path)
        if self._truncated:
            self._drop(paths)
            return
        for dataset in self._filled:  # a deleted row keeps its memory until the table goes
            self._create_table(DATASETS[dataset])
        self._filled.clear()

    # -- one day ---------------------------------------------------------------------------------------------------

    def _select_day(self, contract: Contract, day: str, inputs: Sequence[IndexedFile]) -> None:
        """The day's records; what is written from them is put into reading order as it is written."""
        paths = [f.path for f in inputs]
        of_inputs = f" AND source_file IN ({_literals(paths)})" if self._truncated.keys() - set(paths) else ""
        stored = self._stored[contract.dataset]
        absent = [f"CAST(NULL AS {f.kind.duckdb}) AS {quoted(f.name)}" for f in contract.fields if f.name not in stored]
        self._db.execute(
            f"CREATE OR REPLACE TEMP VIEW today AS SELECT {', '.join(['*', 'rowid AS position', *absent])} "
            f"FROM {_parsed(contract)} WHERE {contract.day_column} = DATE '{day}'{of_inputs}"
        )

    def _separate_duplicates(self, contract: Contract) -> None:
        """Under one identity the first record stays; equal ones are counted, different ones are refused.

        Identities are compared by hash first; whole records only where a hash repeats, which is rare.
        """
        content = ", ".join(quoted(f.name) for f in contract.fields)
        self._db.execute(
            f"CREATE OR REPLACE TEMP TABLE identities AS SELECT position, source_file, line, "
            f"{_identity(contract)} AS identity FROM today WHERE refusal IS NULL"
        )
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE repeated AS WITH many AS ("
            "  SELECT identity FROM identities GROUP BY identity HAVING count(*) > 1), "
            "candidates AS ("
            f"  SELECT t.position, i.source_file, i.line, i.identity, md5(CAST(({content}) AS VARCHAR)) AS content, "
            "  row_number() OVER (PARTITION BY i.identity ORDER BY i.source_file, i.line, t.position) AS place "
            "  FROM today t JOIN identities i USING (position) JOIN many USING (identity)) "
            "SELECT c.position, c.source_file, c.line, c.content = f.content AS is_exact "
            "FROM candidates c JOIN candidates f ON f.identity = c.identity AND f.place = 1 WHERE c.place > 1"
        )
        conflicts = self._db.execute("SELECT position, source_file, line FROM repeated WHERE NOT is_exact").fetchall()
        texts = self._texts_of(conflicts)
        named = ", ".join(part.replace("|", " or ") for part in contract.identity)
        for position, file, line in conflicts:
            self._db.execute(
                f"UPDATE {_parsed(contract)} SET refusal = ['identity_conflict', ?], text = ? WHERE rowid = ?",
                [f"another record with the same {named} came first", texts.get((file, line)), position],
            )

    def _texts_of(self, places: Sequence[tuple[int, str, int]]) -> dict[tuple[str, int], str]:
        """Texts of single records: read again, because keeping every text would double the memory of a day."""
        wanted: dict[str, list[int]] = {}
        for _, file, line in places:
            wanted.setdefault(file, []).append(line)
        texts = {}
        for file, lines in wanted.items():
            for block in read_blocks(self._landing / file):
                self._db.register("block", block.rows)
                query = f"SELECT line, {block.text_sql()} FROM block WHERE list_contains(?, line)"
                texts.update({(file, line): text for line, text in self._db.execute(query, [lines]).fetchall()})
                self._db.unregister("block")
        return texts

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
                is_truncated=self._truncated[f.path],
                problem=self._problems.get(f.path),
                rows_erased=erased.get(f.path, 0),
                is_open_ended=f.path in self._open_ended,
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
            clean = _clean_document if contract.of(name).kind is Kind.JSON else redact
            self._replacements(f"clean_{name}", originals, clean)
        columns, joins = [], []
        counted = COUNTED if contract is TURNS and count_word_errors(self._db, "today", "word_errors") else ()
        joins += ["LEFT JOIN word_errors USING (position)"] if counted else []
        for field in contract.fields:
            name, clean_name = quoted(field.name), f"clean_{field.name}"
            original = f"CAST(t.{name} AS VARCHAR)"
            if field.name in counted:
                columns.append(f"coalesce(t.{name}, word_errors.{name}) AS {name}")
            elif field.person:
                columns.append(f"pseudonyms.clean AS {name}")
                joins.append(f"LEFT JOIN pseudonyms ON pseudonyms.original = {original}")
            elif field.name in suspicious:
                columns.append(f"CAST(coalesce({clean_name}.clean, {original}) AS {field.kind.duckdb}) AS {name}")
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

        Files are read one after the other, and DuckDB keeps the order of what it inserted and of what it streams. Only
        where a file was read before another one, for an earlier day, must rows be sorted: a third of the writing.
        """
        spans = self._db.execute(
            "SELECT source_file, min(position), max(position) FROM today GROUP BY 1 ORDER BY 1"
        ).fetchall()
        is_sorted = all(last < first for (_, _, last), (_, first, _) in itertools.pairwise(spans))
        return "" if is_sorted else "ORDER BY source_file, line, position"

    def _write_quarantine(self, load: DayLoad, target: LakeDay) -> None:
        """Refused records are few and foreign: each is redacted in Python, as a whole."""
        refused = self._db.execute(
            "SELECT source_file, line, refusal[1], refusal[2], left(text, 20000) FROM today "
            "WHERE refusal IS NOT NULL ORDER BY source_file, line, position"
        ).fetchall()
        columns: Mapping[str, list[str | int | None]] = {
            "file": [row[0] for row in refused],
            "line": [row[1] for row in refused],
            "reason": [row[2] for row in refused],
            "message": [redact(row[3]) for row in refused],
            "raw_text": [None if row[4] is None else self._redacted(row[0], row[4])[:_TEXT_KEPT] for row in refused],
        }
        self._db.register("refused", pa.table(dict(columns), schema=QUARANTINE))
        self._copy(
            f"SELECT *, DATE '{load.day}' AS day, '{load.load_id}' AS load_id FROM refused ORDER BY file, line",
            target.quarantine,
        )
        self._db.unregister("refused")

    def _redacted(self, path: str, text: str) -> str:
        header = self._headers.get(path)
        return redact_row(text, *header) if header else redact_record(text)

    def _suspects(self, contract: Contract) -> dict[str, list[str]]:
        """Field of free text -> values of the day that may not stay as they are; fields without any are left out."""
        fields = [f.name for f in contract.fields if f.free_text]
        if not fields:
            return {}
        query = " UNION ALL ".join(
            f"SELECT {literal(name)} AS field, {contract.of(name).kind is Kind.JSON} AS is_json, "
            f"CAST({quoted(name)} AS VARCHAR) AS text FROM today "
            f"WHERE refusal IS NULL AND {quoted(name)} IS NOT NULL"
            for name in fields
        )
        found: dict[str, set[str]] = {}
        for batch in side_by_side(_only_suspects, self._db.sql(query).to_arrow_reader(_TEXTS_AT_ONCE)):
            for field, text in zip(*batch.select(["field", "text"]).to_pydict().values(), strict=True):
                found.setdefault(field, set()).add(text)
        return {field: sorted(texts) for field, texts in found.items()}

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
        path.parent.mkdir(parents=True, exist_ok=True)
        _discard_drafts(path)
        rewrite(self._db, query, path)


REPLACEMENTS = pa.schema([("original", pa.string()), ("clean", pa.string())])
QUARANTINE = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("reason", pa.string()),
        ("message", pa.string()),
        ("raw_text", pa.string()),
    ]
)


def _count_again(dataset: str, day: str, inputs: Sequence[IndexedFile], files: Sequence[FileAccount]) -> None:
    """Hold the account against the index, which was counted by another query when the file was first seen.

    Raises:
        LostRecordsError: when they differ.
    """
    for known, booked in zip(inputs, files, strict=True):
        counted = known.rows.get(dataset, {}).get(day, 0)
        if counted != booked.rows_in:
            raise LostRecordsError(
                f"{known.path}: {counted:,} records of {dataset} were counted for {day} and {booked.rows_in:,} were "
                "read; `touch` the file, so that it is counted again, and run the day again"
            )


def _parsed(contract: Contract) -> str:
    return f"parsed_{contract.dataset}"


def _identity(contract: Contract) -> str:
    """Hash of the fields that tell rows apart; ``a|b`` is b where a is null."""
    parts = [
        f"coalesce({', '.join(f'CAST({quoted(name)} AS VARCHAR)' for name in part.split('|'))})"
        for part in contract.identity
    ]
    return f"hash(source, {', '.join(parts)})"


def _only_suspects(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Of texts those that redaction might change; of documents those, too, that PostgreSQL might not store."""
    texts, is_json = batch.column("text"), batch.column("is_json")
    mask = suspects(texts)
    if is_json.true_count:
        mask = pc.or_(mask, pc.and_(is_json, unstorable(texts)))
    return batch.filter(mask)


def _clean_document(text: str) -> str:
    return redact_json(storable_json(text) if unstorable(pa.array([text]))[0].as_py() else text)


def _literals(texts: Iterable[str]) -> str:
    return ", ".join(map(literal, texts)) or "NULL"


def _spill_folder(lake: Path) -> Path:
    """A folder for what does not fit into memory, which is not redacted yet; what killed runs left in theirs goes."""
    root = lake / ".spill"
    for left in root.glob("*"):
        pid = left.name.split("-")[0]
        if not pid.isdigit() or not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    root.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))


def _discard_drafts(path: Path) -> None:
    """Remove what runs that were killed left of this file; a run that is still alive keeps its own."""
    for draft in path.parent.glob(f".{path.name}.*"):
        pid = draft.suffix.removeprefix(".")
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            draft.unlink(missing_ok=True)


def write_account(place: LakeDay, load: DayLoad) -> None:
    """Replace the account of a day of the lake."""
    draft = place.account.with_name(f".{place.account.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(load), indent=1, sort_keys=True) + "\n")
    draft.replace(place.account)
