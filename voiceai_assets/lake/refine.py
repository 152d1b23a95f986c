"""One day of one dataset: from the files that touch it to typed, pseudonymised, deduplicated Parquet and its account.

Belongs here: the path of a record into the lake or into quarantine, and the account of every record.
Does not belong here: SQL of single types (``typing``), which files there are (``inbox``), PostgreSQL.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from voiceai_assets.adapters import ADAPTERS
from voiceai_assets.adapters.base import Adapter
from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.lake.inbox import IndexedFile, input_fingerprint
from voiceai_assets.lake.typing import typed_rows_sql
from voiceai_assets.privacy.pseudonyms import Pseudonymiser
from voiceai_assets.privacy.redaction import redacted, redacted_json, redacted_record

MEMORY_LIMIT = "2GB"


class LandingChangedError(RuntimeError):
    """A file changed between being indexed and being read; running the day again reads the new content."""


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


@dataclass(frozen=True)
class DayLoad:
    """One day in the lake."""

    dataset: str
    day: str
    load_id: str
    files: tuple[FileAccount, ...]

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
        pseudonymise: keyed pseudonyms for user ids.
        days: the days that will be asked for, so that a parsed file can be forgotten after the last of them.
    """

    def __init__(
        self, landing: Path, lake: Path, timezone: str, pseudonymise: Pseudonymiser, days: Sequence[str]
    ) -> None:
        self._landing, self._lake, self._timezone = landing, lake, timezone
        self._pseudonymise = pseudonymise
        self._pending = sorted(days)
        self._truncated: dict[str, bool] = {}
        self._db = duckdb.connect()
        spill = lake / ".spill"
        spill.mkdir(parents=True, exist_ok=True)
        self._db.execute(f"SET TimeZone = '{timezone}'; SET memory_limit = '{MEMORY_LIMIT}'")
        self._db.execute("SET temp_directory = ?", [str(spill)])
        self._create_tables()

    def refine(self, day: str, files: Iterable[IndexedFile]) -> DayLoad:
        """Write one day's Parquet and account, replacing what was there; the same input gives the same bytes.

        Raises:
            LandingChangedError: when a file is no longer the one that was indexed.
        """
        inputs = sorted((f for f in files if f.problem is None), key=lambda f: f.path)
        load_id = input_fingerprint(inputs, timezone=self._timezone, key_id=self._pseudonymise.key_id)
        for file in inputs:
            self._ensure_parsed(file)
        self._select_day(day, inputs)
        self._separate_duplicates()
        load = DayLoad("turns", day, load_id, self._account(inputs))
        self._write(day, load)
        self._pending = [d for d in self._pending if d != day]
        self._forget(f for f in inputs if not any(f.touches(d) for d in self._pending))
        return load

    def close(self) -> None:
        """Release memory and spill files."""
        self._db.close()

    # -- reading ---------------------------------------------------------------------------------------------------

    def _create_tables(self) -> None:
        types = {f.name: f.kind.duckdb for f in TURNS.fields}
        columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
        self._db.execute(
            f"CREATE OR REPLACE TABLE parsed (source VARCHAR, source_file VARCHAR, line BIGINT, refusal VARCHAR[], "
            f"text VARCHAR, {columns}, turn_date DATE, invalid_fields VARCHAR[])"
        )

    def _ensure_parsed(self, file: IndexedFile) -> None:
        if file.path in self._truncated:
            return
        path = self._landing / file.path
        adapter = ADAPTERS[file.adapter]
        names = ", ".join(f'"{f.name}"' for f in TURNS.fields)
        last: tuple[int, bool, bool] = (0, True, False)
        for block in _read_ahead(adapter.blocks(path)):
            self._db.register("block", block)
            self._db.execute(
                f"INSERT INTO parsed BY NAME SELECT '{adapter.name}' AS source, ? AS source_file, line, refusal, text, "
                f"{names}, coalesce(turn_date, CAST(? AS DATE)) AS turn_date, invalid_fields "
                f"FROM ({typed_rows_sql(adapter, 'block', has_unknown_keys=self._has_unknown_keys(adapter))})",
                [file.path, file.home_day],
            )
            self._db.unregister("block")
            last = _end_of(block) or last
        stat = path.stat()
        if (stat.st_size, stat.st_mtime_ns) != (file.size_bytes, file.mtime_ns):
            self._forget([file])
            raise LandingChangedError(f"{file.path} changed while it was being read; run the day again")
        self._truncated[file.path] = self._is_truncated(file.path, *last)

    def _has_unknown_keys(self, adapter: Adapter) -> bool:
        query = f"SELECT DISTINCT unnest({adapter.keys_sql}) FROM block WHERE problem IS NULL"
        return not {key for (key,) in self._db.execute(query).fetchall()} <= TURNS.known_keys

    def _is_truncated(self, path: str, line: int, ends_with_newline: bool, archive_broken: bool) -> bool:
        """A file breaks off when its archive does, or when its last line has neither a newline nor a whole record."""
        if archive_broken or ends_with_newline:
            return archive_broken
        refused = self._db.execute(
            "SELECT refusal[1] = 'unreadable' FROM parsed WHERE source_file = ? AND line = ?", [path, line]
        ).fetchone()
        return bool(refused and refused[0])

    def _forget(self, files: Iterable[IndexedFile]) -> None:
        for file in files:
            self._db.execute("DELETE FROM parsed WHERE source_file = ?", [file.path])
            self._truncated.pop(file.path, None)
        if not self._truncated:
            self._create_tables()  # a deleted row keeps its memory until the table goes

    # -- one day ---------------------------------------------------------------------------------------------------

    def _select_day(self, day: str, inputs: Sequence[IndexedFile]) -> None:
        """The day's records; what is written from them is put into reading order as it is written."""
        self._db.execute(
            "CREATE OR REPLACE TEMP VIEW today AS SELECT *, rowid AS position FROM parsed "
            f"WHERE turn_date = DATE '{day}' AND source_file IN ({_literals(f.path for f in inputs)})"
        )

    def _separate_duplicates(self) -> None:
        """Under one identity the first record stays; equal ones are counted, different ones are refused.

        Identities are compared by hash first; whole records only where a hash repeats, which is rare.
        """
        content = ", ".join(f'"{f.name}"' for f in TURNS.fields)
        self._db.execute(
            f"CREATE OR REPLACE TEMP TABLE identities AS SELECT position, source_file, line, {_IDENTITY} AS identity "
            "FROM today WHERE refusal IS NULL"
        )
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE repeated AS WITH many AS ("
            "  SELECT identity FROM identities GROUP BY identity HAVING count(*) > 1), "
            "candidates AS ("
            f"  SELECT t.position, i.source_file, i.line, i.identity, md5(CAST(({content}) AS VARCHAR)) AS content, "
            "  row_number() OVER (PARTITION BY i.identity ORDER BY i.source_file, i.line) AS place "
            "  FROM today t JOIN identities i USING (position) JOIN many USING (identity)) "
            "SELECT c.position, c.source_file, c.line, c.content = f.content AS is_exact "
            "FROM candidates c JOIN candidates f ON f.identity = c.identity AND f.place = 1 WHERE c.place > 1"
        )
        conflicts = self._db.execute("SELECT position, source_file, line FROM repeated WHERE NOT is_exact").fetchall()
        texts = self._lines_of(conflicts)
        for position, file, line in conflicts:
            self._db.execute(
                "UPDATE parsed SET refusal = ['identity_conflict', "
                "'another record with this turn_id, or this session, turn number and speaker, came first'], "
                "text = ? WHERE rowid = ?",
                [texts.get((file, line)), position],
            )

    def _lines_of(self, records: Sequence[tuple[int, str, int]]) -> dict[tuple[str, int], str]:
        """Texts of single lines: read again, because keeping every text would double the memory of a day."""
        wanted: dict[str, set[int]] = {}
        for _, file, line in records:
            wanted.setdefault(file, set()).add(line)
        texts = {}
        for file, lines in wanted.items():
            adapter = ADAPTERS[file.split("/", 1)[0]]
            for block in adapter.blocks(self._landing / file):
                for line, text in zip(block["line"].to_pylist(), block["text"].to_pylist(), strict=True):
                    if line in lines:
                        texts[file, line] = text
        return texts

    def _account(self, inputs: Sequence[IndexedFile]) -> tuple[FileAccount, ...]:
        rows = self._db.execute(
            "SELECT t.source_file, count(*), count(*) FILTER (refusal IS NULL AND r.position IS NULL), "
            "count(*) FILTER (refusal IS NOT NULL), count(*) FILTER (refusal IS NULL AND r.position IS NOT NULL) "
            "FROM today t LEFT JOIN repeated r USING (position) GROUP BY 1"
        ).fetchall()
        counts: Mapping[str, tuple[int, int, int, int]] = {row[0]: row[1:] for row in rows}
        return tuple(
            FileAccount(f.path, f.sha256, f.size_bytes, *counts.get(f.path, (0, 0, 0, 0)), self._truncated[f.path])
            for f in inputs
        )

    # -- writing ---------------------------------------------------------------------------------------------------

    def _write(self, day: str, load: DayLoad) -> None:
        target = LakeDay(self._lake, load.dataset, day)
        self._pseudonyms()
        self._redact_extra()
        columns = ", ".join(self._stored(f.name) for f in TURNS.fields)
        self._copy(
            f"SELECT {columns}, source, turn_date, source_file, line AS source_line, invalid_fields, "
            f"'{load.load_id}' AS load_id FROM today t LEFT JOIN pseudonyms p USING (user_id) "
            "ANTI JOIN repeated USING (position) WHERE refusal IS NULL ORDER BY source_file, line",
            target.rows,
        )
        self._copy(
            f"SELECT source_file AS file, line, refusal[1] AS reason, {redacted('refusal[2]')} AS message, "
            f"{redacted_record('left(text, 4000)')} AS raw_text, turn_date AS day, '{load.load_id}' AS load_id "
            "FROM today WHERE refusal IS NOT NULL ORDER BY source_file, line",
            target.quarantine,
        )
        _replace_text(target.account, json.dumps(asdict(load), indent=1, sort_keys=True))

    @staticmethod
    def _stored(name: str) -> str:
        return "p.pseudonym AS user_id" if name == "user_id" else f't."{name}"'

    def _pseudonyms(self) -> None:
        users = [
            row[0]
            for row in self._db.execute("SELECT DISTINCT user_id FROM today WHERE user_id IS NOT NULL").fetchall()
        ]
        table = pa.table({"user_id": users, "pseudonym": [self._pseudonymise(u) for u in users]}, PSEUDONYMS)
        self._db.register("pseudonyms_arrow", table)
        self._db.execute("CREATE OR REPLACE TEMP TABLE pseudonyms AS SELECT * FROM pseudonyms_arrow")
        self._db.unregister("pseudonyms_arrow")

    def _redact_extra(self) -> None:
        """Only the few documents that look suspicious are walked in Python, so that the JSON stays JSON."""
        suspects = self._db.execute(
            "SELECT DISTINCT CAST(extra AS VARCHAR) FROM today WHERE contains(extra, '@') "
            r"OR regexp_matches(extra, '\d[ ().\-]{0,2}\d[ ().\-\d]{6,}')"
        ).fetchall()
        for (document,) in suspects:
            clean = redacted_json(document)
            if clean != document:
                self._db.execute("UPDATE parsed SET extra = ? WHERE extra = ?", [clean, document])

    def _copy(self, query: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        self._db.execute(f"COPY ({query}) TO '{_quoted(draft)}' (FORMAT parquet, COMPRESSION zstd)")
        draft.replace(path)


#: The row's identity where the emitter gives one, else its place in the session.
_IDENTITY = "hash(source, session_id, coalesce(turn_id, concat_ws(chr(31), turn_number, speaker)))"

PSEUDONYMS = pa.schema([("user_id", pa.string()), ("pseudonym", pa.string())])


def _read_ahead(blocks: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same blocks, the next one being read while the caller works on this one."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = reader.submit(next, blocks, None)
            yield block


def _end_of(block: pa.Table) -> tuple[int, bool, bool] | None:
    """Number of a block's last line, whether it ends with a newline, whether the archive broke off there."""
    if not block.num_rows:
        return None
    last = block.slice(block.num_rows - 1).to_pylist()[0]
    return last["line"], last["text"].endswith("\n"), (last["problem"] or "").startswith("truncated")


def _literals(texts: Iterable[str]) -> str:
    return ", ".join("'" + text.replace("'", "''") + "'" for text in texts) or "NULL"


def _quoted(path: Path) -> str:
    return re.sub("'", "''", str(path))


def _replace_text(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text + "\n")
    draft.replace(path)
