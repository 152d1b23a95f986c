"""CSV: records of columns, with their line and their text, and a reason for each that has another shape.

Belongs here: CSV to blocks. Does not belong here: what a column means.

Arrow parses (a million records in half a second); where the lines lie is found here, because a refused record must be
shown with its line. Both must agree on where records end. They do where quotes enclose whole fields; a chunk with
quotes elsewhere is read by Python's own reader, which is slow and always right.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from voiceai_assets.lake.reading.block import BLOCK, Block, UnreadableFileError
from voiceai_assets.lake.reading.bytes import DamagedError, storable, whole_lines
from voiceai_assets.lake.reading.lines import BATCH_LINES, damage, line_ends, records

DELIMITERS = ",;\t|"
_LONGEST_HEADER = 2**20


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
        for chunk, is_last in _marking_last(whole_lines(path)):
            data = rest + storable(chunk)
            if names is None and data.strip():
                names, delimiter, used, lines = _header(path, data)
                data, number = data[used:], number + lines
                yield _empty(names, delimiter)  # says what the columns are, where no record follows
            if names is None:
                number += data.count(b"\n")
                continue
            data, rest = (data, b"") if is_last else _split_open_quote(data)
            if data:
                yield _block(data, number, names, delimiter, is_last=is_last)
                number += data.count(b"\n")
    except DamagedError as error:
        rows = damage(number, error).rows
        for index in range(len(names or ())):
            rows = rows.append_column(f"c{index}", pa.nulls(1, pa.string()))
        yield Block(rows, names or (), is_damaged=True)


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
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text[skipped:], newline=""), delimiter=delimiter)
    try:
        names = tuple(name.strip() for name in next(reader))
    except csv.Error as error:
        raise UnreadableFileError(f"{path.name}: no header: {error}") from error
    if twice := next((name for name in names if names.count(name) > 1), None):
        # by place, not by name: where the header is missing, the first row is somebody's data
        places = [str(index) for index, name in enumerate(names, 1) if name == twice]
        raise UnreadableFileError(f"{path.name}: the header names a column twice: columns {' and '.join(places)}")
    ends = line_ends(data)
    lines = text[:skipped].count("\n") + reader.line_num
    return names, delimiter, int(ends[min(lines, len(ends)) - 1]), lines


def _split_open_quote(data: bytes) -> tuple[bytes, bytes]:
    """Leave a record whose quoted field goes on beyond the chunk to the next chunk."""
    if data.count(b'"') % 2 == 0:
        return data, b""
    last = data.rfind(b'"')
    cut = data.rfind(b"\n", 0, last) + 1
    # an odd quote somewhere before (a stray one): then waiting for its partner would hold back the whole file
    return (data[:cut], data[cut:]) if len(data) - cut < _LONGEST_HEADER else (data, b"")


def _block(data: bytes, number: int, names: tuple[str, ...], delimiter: str, *, is_last: bool) -> Block:
    ends, numbers, is_regular = _record_ends(data, number, delimiter)
    if is_regular:
        found = records(data, ends, numbers)
        columns = _parse_all(found, data, names, delimiter)
        if columns is not None:
            return Block(_together(found, columns), names, is_cut_off=is_last and not data.endswith(b"\n"))
    return _slow_block(data, number, names, delimiter, is_last=is_last)


def _record_ends(data: bytes, number: int, delimiter: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], bool]:
    """Where records end, their first lines, and whether every quote opens or closes a field (or is doubled)."""
    ends = line_ends(data)
    numbers = np.arange(number, number + len(ends))
    if b'"' not in data:
        return ends, numbers, True
    padded = np.frombuffer(b"\n" + data + b"\n", dtype=np.uint8)
    at = np.flatnonzero(padded == ord('"'))
    opening, closing = at[::2], at[1::2]
    before = np.array([ord(delimiter), ord("\n"), ord('"')], dtype=np.uint8)
    after = np.array([*before, ord("\r")], dtype=np.uint8)
    is_regular = bool(np.isin(padded[opening - 1], before).all() and np.isin(padded[closing + 1], after).all())
    is_outside = np.searchsorted(at - 1, ends) % 2 == 0
    is_outside[-1] = True
    starts = np.concatenate(([0], np.flatnonzero(is_outside)[:-1] + 1))
    return ends[is_outside], numbers[starts], is_regular


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


def _slow_block(data: bytes, number: int, names: Sequence[str], delimiter: str, *, is_last: bool) -> Block:
    """The same by Python's reader: any quotes, any number of columns, any bytes."""
    lines = _lines(data)
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(lines, delimiter=delimiter)
    out: dict[str, list[str | int | None]] = {"line": [], "text": [], "problem": []}
    for index in range(len(names)):
        out[f"c{index}"] = []
    done = 0
    while done < len(lines):
        fields, error = _next(reader)
        text = "".join(lines[done : reader.line_num])
        first, done = done, reader.line_num
        if not text.strip("\r\n"):
            continue
        problem = error or _problem(text, fields, names)
        out["line"].append(number + first)
        out["text"].append(text.encode(errors="surrogateescape").decode(errors="replace"))
        out["problem"].append(problem)
        for index in range(len(names)):
            out[f"c{index}"].append(None if problem else fields[index] or None)
    kinds = {name: pa.int64() if name == "line" else pa.string() for name in out}
    table = pa.table({name: pa.array(values, kinds[name]) for name, values in out.items()})
    is_open = bool(out["text"]) and str(out["text"][-1]).count('"') % 2 == 1
    return Block(table, tuple(names), is_cut_off=is_last and (is_open or not data.endswith(b"\n")))


def _next(reader: Iterator[list[str]]) -> tuple[list[str], str | None]:
    try:
        return next(reader, []), None
    except csv.Error as error:
        return [], f"wrong_shape: {error}"


def _lines(data: bytes) -> list[str]:
    """Lines at newlines only: a lone carriage return, or U+2028, does not end a record."""
    ends = line_ends(data)
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
