"""JSON lines: numbered lines in blocks, one record each.

Belongs here: lines to records, for JSON lines and for the records that CSV cuts. Does not belong here: bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from voiceai_assets.lake.reading.block import BLOCK, Block
from voiceai_assets.lake.reading.bytes import LONGEST_LINE, DamagedError, storable, whole_lines

BATCH_LINES = 20_000
_BLANKS = np.frombuffer(b" \t\n\r\v\f", dtype=np.uint8)


def line_blocks(path: Path) -> Iterator[Block]:
    """One record per line, empty lines left out.

    A line that is not UTF-8 is kept, decoded with replacement characters, under the problem ``encoding``. A last line
    without its newline is an ordinary line. A damaged archive gives its readable lines and then one record with the
    problem ``truncated_archive``.
    """
    number = 1
    try:
        for chunk in map(storable, whole_lines(path)):
            ends = line_ends(chunk)
            table = records(chunk, ends, np.arange(number, number + len(ends)))
            number += len(ends)
            yield Block(table, is_cut_off=not chunk.endswith(b"\n"))
    except DamagedError as error:
        yield damage(number, error)


def damage(line: int, error: DamagedError) -> Block:
    """The block of one record that says that a file broke off here."""
    row = {"line": [line], "text": [str(error)], "problem": ["truncated_archive"]}
    return Block(pa.table(row, schema=BLOCK), is_damaged=True)


def line_ends(chunk: bytes) -> npt.NDArray[np.int64]:
    """Offsets behind every newline, and behind the last byte."""
    data = np.frombuffer(chunk, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n")) + 1
    return ends if len(ends) and ends[-1] == len(data) else np.append(ends, len(data))


def records(chunk: bytes, ends: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]) -> pa.Table:
    """One row per non-empty record that ends where ``ends`` says; the newline stays on so that nothing is copied."""
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    count = len(ends)
    raw = pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(chunk)])
    problems = pa.nulls(count, pa.string())
    lengths = np.diff(offsets)
    try:
        text = raw.cast(pa.string())
    except pa.ArrowInvalid:
        text, problems = _decode_one_by_one(raw)
    if count and (too_long := length_problem(int(lengths.max()))):
        problems = pc.if_else(pa.array(lengths > LONGEST_LINE), too_long, problems)
    table = pa.table({"line": pa.array(numbers), "text": text, "problem": problems}, schema=BLOCK)
    # only a line that begins with a blank can be one of blanks alone; to trim a million others costs 0.1 s
    if np.isin(np.frombuffer(chunk, dtype=np.uint8)[offsets[:-1]], _BLANKS).any():
        table = table.filter(pc.greater(pc.binary_length(pc.ascii_trim_whitespace(text)), 0))
    # a scan is parallel over record batches: one big batch would keep all but one core idle
    return pa.Table.from_batches(table.to_batches(max_chunksize=BATCH_LINES), schema=BLOCK)


def length_problem(size: int) -> str | None:
    """What is wrong with a record of so many bytes, if anything."""
    return f"too_long: the record has more than {LONGEST_LINE:,} bytes" if size > LONGEST_LINE else None


def _decode_one_by_one(raw: pa.Array) -> tuple[pa.Array, pa.Array]:
    texts: list[str] = []
    problems: list[str | None] = []
    for value in raw:
        line = value.as_py()
        try:
            texts.append(line.decode())
            problems.append(None)
        except UnicodeDecodeError as error:
            texts.append(line.decode(errors="replace"))
            problems.append(f"encoding: byte {error.start + 1} is not UTF-8")
    return pa.array(texts, pa.string()), pa.array(problems, pa.string())
