"""Bytes of a text file in whole lines, without trusting its compression, its encoding or its size.

Belongs here: decompression, byte order marks, limits. Does not belong here: what a line means.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from voiceai_assets.adapters.base import COMPRESSIONS

ARCHIVE_STEP = 2**16
LINE_STEP = 2**16  # in which the last line's end before a block's end is looked for
BLOCK_BYTES = 16 * 2**20  # memory is a few times this
#: A single record beyond this is refused; the longest that was ever seen in the field held 10 MB.
LONGEST_LINE = 64 * 2**20
#: An archive that grows by more than this factor, and beyond this size, is a bomb and no call log.
LARGEST_RATIO = 200
SMALLEST_BOMB = 2 * 2**30
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_UTF16 = codecs.getincrementaldecoder("utf-16")


class DamagedError(Exception):
    """The file breaks off or must not be read further; what was read before stands."""


def whole_lines(path: Path, share: int = 1) -> Iterator[bytes]:
    """Chunks that end at a line's end (the last one where the file ends), in UTF-8 as far as the file is.

    A line that is too long is given up to the limit and the rest of it is left out.

    Args:
        path: the file.
        share: by what the usual size of a chunk is divided, for formats that make much of it.

    Raises:
        DamagedError: where an archive breaks off or swells without end; after all readable lines were given.
    """
    rest = b""
    pieces = _with_newlines(_pieces(path, max(1, BLOCK_BYTES // share)))
    while True:
        try:
            piece = next(pieces, b"")
        except DamagedError:
            if rest:
                yield rest
            raise
        if not piece:
            break
        cut = piece.rfind(b"\n") + 1
        if cut == len(piece) and not rest:
            yield piece
        elif cut:
            yield b"".join((rest, memoryview(piece)[:cut]))
            rest = piece[cut:]
        elif len(rest) <= LONGEST_LINE:
            rest += piece
    if rest:
        yield rest


def has_returns_alone(path: Path) -> bool:
    """Whether a file's lines end with carriage returns and nothing else, by its beginning.

    Raises:
        DamagedError: where its archive is none.
    """
    return _are_returns_alone(next(_pieces(path, BLOCK_BYTES), b""))


def _are_returns_alone(piece: bytes) -> bool:
    return b"\n" not in piece and b"\r" in piece


def _with_newlines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same, with newlines where a file has only carriage returns: all of it would pass for one line."""
    has_none = None
    for piece in pieces:
        if has_none is None:
            has_none = _are_returns_alone(piece)
        yield piece.replace(b"\r", b"\n") if has_none else piece


def _pieces(path: Path, block_bytes: int) -> Iterator[bytes]:
    compression = COMPRESSIONS.get(path.suffix.lower())
    limit = max(SMALLEST_BOMB, LARGEST_RATIO * path.stat().st_size) if compression else None
    done, utf16 = 0, None
    with pa.input_stream(str(path), compression=compression) if compression else pa.OSFile(str(path)) as stream:
        while True:
            size = block_bytes if compression else _up_to_a_line_end(stream, block_bytes)
            piece, damage = _read(stream, size, ARCHIVE_STEP if compression else size)
            is_last = not piece or damage is not None
            utf16 = utf16 or (_UTF16("replace") if not done and piece[:2] in UTF16_BOMS else None)
            text = utf16.decode(piece, is_last).encode() if utf16 else piece if done else piece.removeprefix(UTF8_BOM)
            done += len(piece)
            if text:
                yield text
            if damage is not None:
                raise damage
            if limit is not None and done > limit:
                raise DamagedError(f"the archive swells to more than {limit:,} bytes; it is not read further")
            if is_last:
                return


def _up_to_a_line_end(file: pa.NativeFile, block_bytes: int) -> int:
    """How much to read of a file in which one can look ahead, so that a block's last line is whole.

    To put lines together again costs as much as to read them: half a second of a million turns.
    """
    step = min(LINE_STEP, block_bytes)
    here, before = file.tell(), block_bytes - step
    try:
        cut = file.read_at(step, here + before).rfind(b"\n") + 1
    except OSError:  # whoever reads will say so
        cut = 0
    file.seek(here)
    return before + cut if cut else block_bytes


def _read(stream: pa.NativeFile, most: int, step: int) -> tuple[bytes, DamagedError | None]:
    """Up to so many bytes, in steps: where an archive breaks off, what was read in the steps before is not lost."""
    parts: list[bytes] = []
    size = 0
    while size < most:
        try:
            part = stream.read(min(step, most))
        except (OSError, pa.ArrowInvalid) as error:
            return b"".join(parts), DamagedError(f"the archive breaks off: {error}")
        if not part:
            break
        parts.append(part)
        size += len(part)
    return (parts[0] if len(parts) == 1 else b"".join(parts)), None


def storable(chunk: bytes) -> bytes:
    """PostgreSQL stores no NUL in text or jsonb, as a byte or escaped: it becomes the replacement character."""
    # one byte is found twenty times sooner than six
    if b"\0" in chunk or (b"\\" in chunk and b"\\u0000" in chunk):
        return chunk.replace(b"\0", "\ufffd".encode()).replace(b"\\u0000", b"\\ufffd")
    return chunk
