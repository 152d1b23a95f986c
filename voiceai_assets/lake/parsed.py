"""Records of landed files as typed rows in DuckDB, for as long as a day is still to be made of them.

Belongs here: reading files once, whatever number of days they hold; what becomes of a file as a whole. Does not belong
here: what a day makes of its records (``refine``), SQL of single types (``typing``), which files there are (``inbox``).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import duckdb
import pyarrow as pa

from voiceai_assets.adapters import tables_for
from voiceai_assets.adapters.base import Table
from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.fields import Contract, Field
from voiceai_assets.lake.account import LostRecordsError
from voiceai_assets.lake.ahead import one_ahead
from voiceai_assets.lake.companions import Companions
from voiceai_assets.lake.gathering import Gathered, Stream, gather, with_constant
from voiceai_assets.lake.indexing import IndexedFile, readable_blocks, stat_of
from voiceai_assets.lake.people import ERASED, ERASED_MESSAGE, erased_sql, names_people
from voiceai_assets.lake.reading import Block, UnreadableFileError
from voiceai_assets.lake.reading.block import literal, quoted
from voiceai_assets.lake.typing import given_fields, known_columns, narrowed, typed_rows_sql
from voiceai_assets.privacy.tombstones import Tombstones


class LandingChangedError(RuntimeError):
    """A file changed between being indexed and being read; running the day again reads the new content."""


class _End(NamedTuple):
    """How a file ends: line of its last record, and what its last block says."""

    last_line: int
    is_cut_off: bool
    is_damaged: bool
    is_csv: bool


class ParsedFiles:
    """Reads files into one table per dataset.

    Args:
        landing: root of the zone.
        db: where the tables are made; its zone is that of naive time stamps.
        tombstones: whose records are refused.
    """

    def __init__(self, landing: Path, db: duckdb.DuckDBPyConnection, tombstones: Tombstones | None) -> None:
        self._landing, self._db, self._tombstones = landing, db, tombstones
        self._truncated: dict[str, bool] = {}
        self._open_ended: set[str] = set()
        self._problems: dict[str, str] = {}
        self._headers: dict[str, tuple[tuple[str, ...], str]] = {}
        self._stored: dict[str, set[str]] = {}  # dataset -> fields that have a column
        for contract in DATASETS.values():
            self._create_table(contract)
        self._filled: set[str] = set()  # datasets

    def is_truncated(self, path: str) -> bool:
        """Whether the file ends in the middle of a record."""
        return self._truncated[path]

    def is_open_ended(self, path: str) -> bool:
        """Whether it is CSV whose last line has no end."""
        return path in self._open_ended

    def problem(self, path: str) -> str | None:
        """Why the file as a whole could not be read, or not further."""
        return self._problems.get(path)

    def header(self, path: str) -> tuple[tuple[str, ...], str] | None:
        """Columns and delimiter of a CSV file."""
        return self._headers.get(path)

    def day_sql(self, contract: Contract, day: str, paths: Sequence[str]) -> str:
        """Select statement: a day's records in these files, every field of the contract, and a ``position``."""
        of_paths = f" AND source_file IN ({literals(paths)})" if self._truncated.keys() - set(paths) else ""
        stored = self._stored[contract.dataset]
        absent = [f"CAST(NULL AS {f.kind.duckdb}) AS {quoted(f.name)}" for f in contract.fields if f.name not in stored]
        return (
            f"SELECT {', '.join(['*', 'rowid AS position', *absent])} FROM {table_of(contract)} "
            f"WHERE {contract.day_column} = DATE '{day}'{of_paths}"
        )

    def _create_table(self, contract: Contract) -> None:
        """For the records that were read and not yet forgotten.

        Fields come when a record has them: to store sixty columns of a million records takes a fifth longer than the
        twenty that an emitter sends.
        """
        self._db.execute(
            f"CREATE OR REPLACE TABLE {table_of(contract)} (source VARCHAR, source_file VARCHAR, line BIGINT, "
            f"refusal VARCHAR[], text VARCHAR, {contract.day_column} DATE, invalid_fields VARCHAR[])"
        )
        self._stored[contract.dataset] = set()

    def _store(self, contract: Contract, fields: Iterable[Field]) -> None:
        """Have columns for these fields."""
        stored = self._stored[contract.dataset]
        for field in fields:
            if field.name not in stored:
                self._db.execute(
                    f"ALTER TABLE {table_of(contract)} ADD COLUMN {quoted(field.name)} {field.kind.duckdb}"
                )
                stored.add(field.name)

    def ensure(self, files: Sequence[IndexedFile]) -> None:
        """Read what was not read yet; all of it or, where something goes wrong, nothing."""
        new = {f.path: f for f in files if f.path not in self._truncated}
        readable = {path: f for path, f in new.items() if f.problem is None}
        found_in: Counter[str] = Counter()
        ends: dict[str, _End] = {}
        problems: dict[str, UnreadableFileError] = {}
        try:
            gathered = self._with_keys(gather(self._blocks(readable, found_in, ends, problems)))
            companions = Companions(self._landing)
            with closing(one_ahead(gathered)) as coming:
                for _, alike in itertools.groupby(coming, key=lambda found: found.likeness):
                    self._parse(Stream(alike), companions)
            if changed := next((path for path, f in new.items() if stat_of(self._landing, path) != f.stat), None):
                raise LandingChangedError(f"{changed} changed while it was being read; run the day again")
            self._drop(list(problems))
            self._miss_none({path: n for path, n in found_in.items() if path not in problems})
        except BaseException:
            self.forget(list(new))
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
            rows = " UNION ALL ".join(f"SELECT source_file, line FROM {table_of(contract)}" for contract in datasets)
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
            parsed, of_files = table_of(contract), f"source_file IN ({literals(those)})"
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

    def _with_keys(self, gathered: Iterable[Gathered]) -> Iterator[Gathered]:
        """The same, and what their records call their values; within a file that only grows, hence seldom changes."""
        path, keys = "", frozenset[str]()
        with self._db.cursor() as db:  # while the other one stores what came before
            for found in gathered:
                keys = _keys_of(found.block, db) | (keys if found.path == path else frozenset())
                path = found.path
                yield replace(found, keys=keys)

    def _parse(self, stream: Stream, companions: Companions) -> None:
        found = stream.first
        known = [known_columns(table) for table in found.tables]
        has_unknown_keys = not found.keys <= frozenset().union(*known)
        self._db.register("block", stream)
        for table in found.tables:
            is_first = table is found.tables[0]
            contract = table.contract
            self._filled.add(contract.dataset)
            mapped = narrowed(table, found.keys & known_columns(table))
            given = given_fields(mapped)
            self._store(contract, given)
            query = typed_rows_sql(
                mapped,
                found.block,
                "block",
                is_first=is_first,
                # kept once, also where one record becomes several rows
                has_unknown_keys=(is_first or table.explode is None) and has_unknown_keys,
                lookup=_lookup(companions, found.path, table, self._db),
                kept=("file", "home_day"),
            )
            day = contract.day_column
            self._db.execute(
                f"INSERT INTO {table_of(contract)} BY NAME "
                f"SELECT ? AS source, file AS source_file, line, refusal, text, "
                f"{', '.join(quoted(f.name) for f in given)}, "
                f"coalesce({day}, CAST(home_day AS DATE)) AS {day}, invalid_fields FROM ({query})",
                [PurePosixPath(found.path).parts[0]],
            )
        self._db.unregister("block")
        if stream.error:
            raise stream.error

    def _which_break_off(self, paths: Iterable[str], ends: Mapping[str, _End]) -> dict[str, bool]:
        """A file breaks off when its archive does, or when its last record has neither an end nor a whole content."""
        found = {path: path in ends and ends[path].is_damaged for path in paths}
        open_ended = [path for path, end in ends.items() if end.is_cut_off and not end.is_damaged]
        for contract, those in self._by_contract(open_ended, first_only=True).items():
            last = pa.table({"file": those, "line": [ends[path].last_line for path in those]})
            self._db.register("last_records", last)
            refused = self._db.execute(
                f"SELECT DISTINCT file FROM last_records r JOIN {table_of(contract)} p "
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
            self._db.execute(f"DELETE FROM {table_of(contract)} WHERE source_file IN ({literals(those)})")

    def forget(self, paths: Sequence[str]) -> None:
        """Drop the records of files that no day is waiting for."""
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


def _lookup(companions: Companions, path: str, table: Table, db: duckdb.DuckDBPyConnection) -> str | None:
    try:
        return companions.lookup_table(path, table, db)
    except UnreadableFileError as error:  # when the file was indexed they could be read
        raise LandingChangedError(f"{error}; run the day again") from error


def _keys_of(block: Block, db: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """What any record of a block calls its values."""
    if block.keys_sql is None:
        return frozenset(block.columns or ())
    query = "SELECT DISTINCT unnest({}) FROM records WHERE problem IS NULL"
    db.register("records", block.rows)
    try:
        # where all of it is JSON, as nearly always, a quarter quicker than with a look at each text first
        found = db.execute(query.format("json_keys(text)"))
    except (duckdb.InvalidInputException, UnicodeDecodeError):  # its words quote the text, maybe half a character of it
        found = db.execute(query.format(block.keys_sql))
    keys = frozenset(key for (key,) in found.fetchall())
    db.unregister("records")
    return keys


def table_of(contract: Contract) -> str:
    """Name of the table of a dataset's records; their ``rowid`` is the ``position`` of :meth:`ParsedFiles.day_sql`."""
    return f"parsed_{contract.dataset}"


def literals(texts: Iterable[str]) -> str:
    """Texts as a list in SQL; of none, a null that nothing equals."""
    return ", ".join(map(literal, texts)) or "NULL"
