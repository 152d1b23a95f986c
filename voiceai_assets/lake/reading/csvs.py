"""CSV: records of columns, with their line and their text, and a reason for each that has another shape.

Belongs here: CSV to blocks. Does not belong here: what a column means.

Arrow parses (a million records in half a second); where the lines lie is found here, because a refused record must be
shown with its line. Both must agree on where records end. They do where quotes enclose whole cells; a chunk with
quotes elsewhere is read line by line (``odd_csv``), which is slow.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from voiceai_assets.lake.reading.block import BLOCK, Block, UnreadableFileError
from voiceai_assets.lake.reading.bytes import DamagedError, storable, whole_lines
from voiceai_assets.lake.reading.lines import BATCH_LINES, damage, length_problem, line_ends, records
from voiceai_assets.lake.reading.odd_csv import OPEN, odd_records

DELIMITERS = ",;\t|"
_LONGEST_HEADER = 2**20
_SHARE = 2  # rows of CSV are half as long as those of JSON, and each cell is a value of its own
#: A record that is open at a chunk's end is waited for up to this size; beyond, its quote counts as never closed.
_LONGEST_SPLIT = 8 * 2**20


def csv_blocks(path: Path) -> Iterator[Block]:
    """Blocks of a CSV file with a header; the delimiter is the one that the header uses most.

    Raises:
        UnreadableFileError: when the header names a column twice or cannot be read.
    """
    names: tuple[str, ...] | None = None
    delimiter = ","
    number = 1
    rest = b""
    try:
        for chunk, is_last in _marking_last(whole_lines(path, _SHARE)):
            data = rest + storable(chunk)
            if names is None and data.strip():
                names, delimiter, used, lines = _header(path, data)
                data, number = data[used:], number + lines
                yield _empty(names, delimiter)  # says what the columns are, where no record follows
            if names is None:
                number += data.count(b"\n")
                continue
            if data:
                block, used = _block(data, number, names, delimiter, is_last=is_last)
                yield block
                number += _lines_used(data, used)
                rest = data[used:]
    except DamagedError as error:
        if rest and names is not None:
            block, _ = _block(rest, number, names, delimiter, is_last=True)
            yield block
            number += _lines_used(rest, len(rest))
        rows = damage(number, error).rows
        for index in range(len(names or ())):
            rows = rows.append_column(f"c{index}", pa.nulls(1, pa.string()))
        yield Block(rows, names or (), is_damaged=True)


def _lines_used(data: bytes, used: int) -> int:
    """Lines of the first bytes, one that broke off among them: the record behind it stands on a line of its own."""
    return data.count(b"\n", 0, used) + (used > 0 and data[used - 1 : used] != b"\n")


def _marking_last(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each chunk, and whether it is the last. A chunk before damage is not: the error comes instead of a next one."""
    before: bytes | None = None
    for chunk in _or_damage(chunks):
        if before is not None:
            yield before, False
        if isinstance(chunk, DamagedError):
            raise chunk
        before = chunk
    if before is not None:
        yield before, True


def _or_damage(chunks: Iterator[bytes]) -> Iterator[bytes | DamagedError]:
    try:
        yield from chunks
    except DamagedError as error:
        yield error


def _empty(names: Sequence[str], delimiter: str) -> Block:
    columns = {f"c{index}": pa.array([], pa.string()) for index in range(len(names))}
    rows = pa.table({**{f.name: pa.array([], f.type) for f in BLOCK}, **columns})
    return Block(rows, tuple(names), delimiter=delimiter)


def _header(path: Path, data: bytes) -> tuple[tuple[str, ...], str, int, int]:
    """Column names, delimiter, bytes used and lines used."""
    text = data[:_LONGEST_HEADER].decode(errors="replace")
    if not text.strip():
        return (), ",", len(data), text.count("\n")
    skipped = len(text) - len(text.lstrip("\r\n"))
    first = text[skipped:].split("\n", 1)[0]
    if "\r" in first.rstrip("\r"):
        raise UnreadableFileError(f"{path.name}: the header ends with a carriage return and other lines do not")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text[skipped:], newline=""), delimiter=delimiter)
    try:
        cells = [name.strip() for name in next(reader)]
    except csv.Error as error:
        raise UnreadableFileError(f"{path.name}: no header: {error}") from error
    names = tuple(_named(cells))
    if twice := next((name for name in names if names.count(name) > 1), None):
        # by place, not by name: where the header is missing, the first row is somebody's data
        places = [str(index) for index, name in enumerate(names, 1) if name == twice]
        raise UnreadableFileError(f"{path.name}: the header names a column twice: columns {' and '.join(places)}")
    ends = line_ends(data)
    lines = text[:skipped].count("\n") + reader.line_num
    return names, delimiter, int(ends[min(lines, len(ends)) - 1]), lines


def _named(cells: Sequence[str]) -> Iterator[str]:
    """Spreadsheets write columns without a name: by its place each is another one, and none is lost in ``extra``."""
    is_told_apart = cells.count("") < 2
    for place, name in enumerate(cells, 1):
        yield name if name or is_told_apart else f"column {place}"


def _block(data: bytes, number: int, names: tuple[str, ...], delimiter: str, *, is_last: bool) -> tuple[Block, int]:
    """Records of a chunk, and how many of its bytes they take: the last one may go on in the next chunk."""
    ends = line_ends(data)
    numbers = np.arange(number, number + len(ends))
    open_from = len(data) if is_last else len(data) - _LONGEST_SPLIT
    if (is_end := _record_ends(data, ends, delimiter, open_from)) is not None:
        starts = np.flatnonzero(np.concatenate(([True], is_end[:-1])))[: is_end.sum()]
        used = int(ends[is_end][-1]) if is_end.any() else 0
        found = records(data[:used], ends[is_end], numbers[starts])
        columns = _parse_all(found, data[:used], names, delimiter)
        if columns is not None:
            is_cut_off = is_last and not data.endswith(b"\n")
            return Block(_together(found, columns), names, is_cut_off=is_cut_off), used
    return _slow_block(data, number, names, delimiter, is_last=is_last)


def _record_ends(
    data: bytes, ends: npt.NDArray[np.int64], delimiter: str, open_from: int
) -> npt.NDArray[np.bool_] | None:
    """Which lines end a record; None unless every quote opens or closes a cell, or is doubled.

    A record that is open at the end is none where it begins at ``open_from`` or later.
    """
    if b'"' not in data:
        return np.ones(len(ends), dtype=bool)
    padded = np.frombuffer(b"\n" + data + b"\n", dtype=np.uint8)
    at = np.flatnonzero(padded == ord('"'))
    opening, closing = at[::2], at[1::2]
    before = np.array([ord(delimiter), ord("\n"), ord('"')], dtype=np.uint8)
    after = np.array([*before, ord("\r")], dtype=np.uint8)
    if not (np.isin(padded[opening - 1], before).all() and np.isin(padded[closing + 1], after).all()):
        return None
    is_end: npt.NDArray[np.bool_] = np.searchsorted(at - 1, ends) % 2 == 0
    if is_end[-1]:
        return is_end
    last = int(ends[is_end][-1]) if is_end.any() else 0
    return is_end if last >= open_from else None


def _parse_all(found: pa.Table, data: bytes, names: Sequence[str], delimiter: str) -> list[pa.ChunkedArray] | None:
    """Every column of every record, or None where Arrow saw other records than we did."""
    if found["problem"].null_count < found.num_rows or not found.num_rows:
        return None
    refused: list[pacsv.InvalidRow] = []

    def refuse(row: pacsv.InvalidRow) -> str:
        refused.append(row)
        return "skip"

    places = [f"c{index}" for index in range(len(names))]
    try:
        table = pacsv.read_csv(
            pa.BufferReader(data),
            read_options=pacsv.ReadOptions(column_names=places, block_size=len(data) + 1),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=True, invalid_row_handler=refuse
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        )
    except pa.ArrowInvalid:
        return None
    return None if refused or table.num_rows != found.num_rows else [table[name] for name in places]


def _together(found: pa.Table, columns: Sequence[pa.ChunkedArray]) -> pa.Table:
    table = pa.table(
        {
            "line": found["line"],
            "text": found["text"],
            "problem": found["problem"],
            **{f"c{index}": column for index, column in enumerate(columns)},
        }
    ).combine_chunks()
    return pa.Table.from_batches(table.to_batches(max_chunksize=BATCH_LINES), schema=table.schema)


def _slow_block(data: bytes, number: int, names: Sequence[str], delimiter: str, *, is_last: bool) -> tuple[Block, int]:
    """The same by Python's reader: any quotes, any number of columns, any bytes."""
    ends = line_ends(data)
    lines = _lines(data, ends)
    starts = np.concatenate(([0], ends[:-1]))
    open_from = len(lines) if is_last else int(np.searchsorted(starts, len(data) - _LONGEST_SPLIT))
    out: dict[str, list[str | int | None]] = {"line": [], "text": [], "problem": []}
    for index in range(len(names)):
        out[f"c{index}"] = []
    done = 0
    for record in odd_records(lines, delimiter, open_from=open_from):
        done = record.after
        text = "".join(lines[record.first : done])
        if not text.strip(" \t\n\r\v\f"):  # as ``lines.records`` has it
            continue
        size = int(ends[done - 1] - starts[record.first])
        problem = record.problem or length_problem(size) or _problem(text, record.cells, names)
        out["line"].append(number + record.first)
        out["text"].append(text.encode(errors="surrogateescape").decode(errors="replace"))
        out["problem"].append(problem)
        for index in range(len(names)):
            out[f"c{index}"].append(None if problem else record.cells[index] or None)
    kinds = {name: pa.int64() if name == "line" else pa.string() for name in out}
    table = pa.table({name: pa.array(values, kinds[name]) for name, values in out.items()})
    is_open = out["problem"][-1:] == [OPEN]
    is_cut_off = is_last and (is_open or not data.endswith(b"\n"))
    return Block(table, tuple(names), is_cut_off=is_cut_off), int(ends[done - 1]) if done else 0


def _lines(data: bytes, ends: npt.NDArray[np.int64]) -> list[str]:
    """Lines at newlines only: a lone carriage return, or U+2028, does not end a record."""
    starts = np.concatenate(([0], ends[:-1]))
    return [data[a:b].decode(errors="surrogateescape") for a, b in zip(starts, ends, strict=True)]


def _problem(text: str, fields: Sequence[str], names: Sequence[str]) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"encoding: character {error.start + 1} is not UTF-8"
    if len(fields) != len(names):
        return f"wrong_shape: {len(fields)} columns where the header has {len(names)}"
    return None
