"""Cut a text file into numbered lines, in blocks, without trusting its encoding or its end.

Belongs here: bytes to lines, for any line-based format. Does not belong here: what a line means.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voiceai_assets.adapters.base import BLOCK

BLOCK_BYTES = 96 * 2**20  # 32 MB took twice as long for a million turns; memory is a few times this
BATCH_LINES = 20_000
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def line_blocks(path: Path) -> Iterator[pa.Table]:
    """Yield tables of schema ``BLOCK``, one row per line, empty lines left out.

    A line that is not UTF-8 is kept, decoded with replacement characters, under the problem ``encoding``. A last line
    without its newline is an ordinary line. A damaged archive gives its readable lines and then one row with the
    problem ``truncated_archive``.
    """
    number = 1
    for chunk in _whole_lines(path):
        if isinstance(chunk, str):
            yield pa.table({"line": [number], "text": [chunk], "problem": ["truncated_archive"]}, schema=BLOCK)
            return
        table, lines = _to_table(chunk, number)
        number += lines
        yield table


def _whole_lines(path: Path) -> Iterator[bytes | str]:
    """Chunks of bytes that end at a line's end; a string is the message of an archive that broke off."""
    compression = COMPRESSIONS.get(path.suffix.lower())
    rest = b""
    with pa.input_stream(str(path), compression=compression) as stream:
        first = True
        while True:
            try:
                piece = stream.read(BLOCK_BYTES)
            except OSError as error:
                if rest:
                    yield rest
                yield f"the archive breaks off: {error}"
                return
            if first:
                first = False
                if piece[:2] in UTF16_BOMS:
                    yield (piece + stream.read()).decode("utf-16", errors="replace").encode()
                    return
                piece = piece.removeprefix(UTF8_BOM)
            if not piece:
                break
            cut = piece.rfind(b"\n") + 1
            if cut:
                yield b"".join((rest, memoryview(piece)[:cut]))
                rest = piece[cut:]
            else:
                rest += piece
    if rest:
        yield rest


def _to_table(chunk: bytes, first_line: int) -> tuple[pa.Table, int]:
    """One row per non-empty line; the newline stays on the value so that the buffer is not copied."""
    chunk = _storable(chunk)
    data = np.frombuffer(chunk, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n")) + 1
    if not len(ends) or ends[-1] != len(data):
        ends = np.append(ends, len(data))
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    count = len(ends)
    raw = pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(chunk)])
    numbers = pa.array(np.arange(first_line, first_line + count))
    problems = pa.nulls(count, pa.string())
    try:
        text = raw.cast(pa.string())
    except pa.ArrowInvalid:
        text, problems = _decode_one_by_one(raw)
    table = pa.table({"line": numbers, "text": text, "problem": problems}, schema=BLOCK)
    lengths = np.diff(offsets)
    if (lengths <= 2).any():  # candidates for an empty line: "\n" or "\r\n"
        table = table.filter(pc.greater(pc.binary_length(pc.utf8_trim_whitespace(text)), 0))
    # a scan is parallel over record batches: one big batch would keep all but one core idle
    return pa.Table.from_batches(table.to_batches(max_chunksize=BATCH_LINES), schema=BLOCK), count


def _storable(chunk: bytes) -> bytes:
    """PostgreSQL stores no NUL in text or jsonb, as a byte or escaped: it becomes the replacement character."""
    if b"\0" in chunk or (b"\\" in chunk and b"\\u0000" in chunk):  # one byte is found twenty times sooner than six
        return chunk.replace(b"\0", "\ufffd".encode()).replace(b"\\u0000", b"\\ufffd")
    return chunk


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
