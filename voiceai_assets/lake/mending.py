"""Records of a landed file by their line: reading them as they arrived, replacing them, removing them for good.

Belongs here: files of any format, record by record. Does not belong here: which records were refused (the ledger
knows) or belong to somebody (``erasure``).
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from voiceai_assets.adapters.base import COMPRESSIONS, FORMATS, split_name
from voiceai_assets.lake.indexing import sha256_of
from voiceai_assets.lake.naming import draft_name
from voiceai_assets.lake.reading import Block, read_blocks
from voiceai_assets.lake.reading.bytes import UTF16_BOMS, has_returns_alone
from voiceai_assets.lake.reading.documents import items_of
from voiceai_assets.lake.remote import LONGEST_NAME

MENDABLE = ("lines", "csv")
_PIECE = 2**20  # bytes


class CannotMendError(ValueError):
    """A file whose records cannot be replaced one by one, or a line that holds no record; says what to do instead."""


def texts_of(path: Path, lines: Collection[int]) -> dict[int, str]:
    """Records that begin on these lines, as they arrived (personal data included), without their newline."""
    return _texts_and_count(path, lines)[0]


def _texts_and_count(path: Path, lines: Collection[int]) -> tuple[dict[int, str], int]:
    """The same, and how many records there are in all."""
    found: dict[int, str] = {}
    total = 0
    for block in read_blocks(path):
        total += block.rows.num_rows
        if "text" not in block.rows.column_names:
            continue
        chosen = _on_lines(block, lines)
        texts = chosen["text"].to_pylist()
        found |= {
            line: text.rstrip("\r\n") for line, text in zip(chosen["line"].to_pylist(), texts, strict=True) if text
        }
    return found, total


def _on_lines(block: Block, lines: Collection[int]) -> pa.Table:
    return block.rows.filter(pc.is_in(block.rows["line"], pa.array(sorted(lines), pa.int64())))


def mend(path: Path, records: Mapping[int, str], kept: Path, sha256: str) -> None:
    """Replace records by their line; the file as it was goes to ``kept``. Atomic: a reader sees the old or the new.

    The whole file must be what was exported, not only the records: a record may stand twice, so that on a line that
    moved up there may be one like the exported one.

    Args:
        path: a JSON-lines or CSV file, compressed or not.
        records: line -> the corrected record, without newline; an empty text removes the record.
        kept: where the old file is moved to.
        sha256: checksum of the file when its records were exported.

    Raises:
        CannotMendError: for another format, for UTF-16, for a file that is no longer what was exported, for a line on
            which no record begins, and for a correction that is no record, or several.
    """
    _, ending = split_name(path.name)
    if FORMATS.get(ending) not in MENDABLE:
        raise CannotMendError(f"{path.name}: records of {ending} files are not replaced singly; land the file again")
    if sha256_of(path) != sha256:
        raise _is_another_file(path)
    old, total = _texts_and_count(path, records.keys())
    if absent := sorted(set(records) - set(old)):
        raise CannotMendError(f"{path.name}: no record begins on line {', '.join(map(str, absent))}")

    def write(draft: Path) -> None:
        with _opened(path, "rb") as source, _opened(draft, "wb") as target:
            spans = {line: text.count("\n") + 1 for line, text in old.items()}
            target.writelines(_mended(_lines(path, source), records, spans))
        _expect(path, draft, total - sum(not record for record in records.values()))
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, kept)
        if sha256_of(kept) != sha256:  # landed again while it was read
            kept.unlink()
            raise _is_another_file(path)

    _rewrite(path, write)


def copy_name(name: str, sha256: str) -> str:
    """What the safety copy of a file is called: after the file, its name cut where it would be longer than can be.

    Its ending stays: by that a copy is decompressed when somebody is searched for in it.
    """
    stem, ending = _parted(name)
    start = f"{sha256[:16]}-"
    room = LONGEST_NAME - len((start + ending).encode())
    return f"{start}{stem.encode()[:room].decode(errors='ignore')}{ending}"


def _parted(name: str) -> tuple[str, str]:
    """A file's name in two: what it is called, and the endings that say how it is read, as they are written."""
    stem, ending = split_name(name)
    if ending not in FORMATS:
        return name, ""
    return stem, name[len(stem) :]


def _is_another_file(path: Path) -> CannotMendError:
    return CannotMendError(
        f"{path.name} is no longer the file that was exported: it was mended since, or landed again. Nothing of it was "
        "changed; run its days, then export again"
    )


def remove(path: Path, lines: Collection[int]) -> bool:
    """Take the records that begin on these lines out of a file for good; no copy is kept. Atomic, like ``mend``.

    All other records keep their bytes (a UTF-16 file becomes UTF-8, carriage returns that end lines become newlines). A
    file without any other record is deleted.

    Returns:
        Whether there still is a file.

    Raises:
        CannotMendError: when the file breaks off. What is missing cannot be searched, and a rewritten file would look
            whole, so its day would no longer be blocked. Or when other records would be lost, or these would stay.
    """
    _, ending = split_name(path.name)
    kind = FORMATS[ending]
    if kind == "document" and not _is_document(path):
        kind = "lines"
    spans, total = _survey(path, frozenset(lines))
    if len(spans) == total:
        path.unlink()
        return False

    def write(draft: Path) -> None:
        if kind == "parquet":
            _write_other_rows(path, draft, lines)
        else:
            with _opened(path, "rb") as source, _opened(draft, "wb") as target:
                if kind == "document":
                    target.write(_other_items(source.read(), lines))
                else:
                    target.writelines(_mended(_lines(path, _in_utf8(source)), dict.fromkeys(lines, ""), spans))
        _expect(path, draft, total - len(spans))

    _rewrite(path, write)
    return True


def _survey(path: Path, lines: frozenset[int]) -> tuple[dict[int, int], int]:
    """How many lines of text each of the records takes, and how many records there are in all."""
    spans: dict[int, int] = {}
    total = 0
    for block in read_blocks(path):
        total += block.rows.num_rows
        has_text = "text" in block.rows.column_names
        chosen = _on_lines(block, lines)
        texts = chosen["text"].to_pylist() if has_text else [""] * chosen.num_rows
        for line, text, problem in zip(chosen["line"].to_pylist(), texts, chosen["problem"].to_pylist(), strict=True):
            spans[line] = text.rstrip("\r\n").count("\n") + 1
            is_last = block.is_cut_off and line == block.last_line
            if is_last and (problem or (block.columns is None and not _is_json(text))):
                raise CannotMendError(f"{path.name} ends in the middle of a record; {_LAND_AGAIN}")
        if block.is_damaged:
            raise CannotMendError(f"{path.name} is a damaged archive; {_LAND_AGAIN}")
    return spans, total


def _expect(path: Path, draft: Path, records: int) -> None:
    """Read what was written before anybody else can: whatever we misunderstood, nobody's records are lost for it."""
    found = sum(block.rows.num_rows for block in read_blocks(draft))
    if found != records:
        raise CannotMendError(f"{path.name} would hold {found:,} records instead of {records:,}; it was not changed")


_LAND_AGAIN = "fetch it again from its source or delete it, then run the command again"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_document(path: Path) -> bool:
    """Whether a ``.json`` file is one document; it may also hold JSON lines."""
    with _opened(path, "rb") as source:
        return _is_json(_in_utf8(source).read().decode("utf-8-sig", errors="replace"))


def _other_items(content: bytes, lines: Collection[int]) -> bytes:
    """A JSON list without the items at these positions, from 1; the others keep their text."""
    text = _in_utf8(io.BufferedReader(io.BytesIO(content))).read().decode("utf-8-sig")
    kept = [item for position, item in enumerate(items_of(text), start=1) if position not in lines]
    return f"[{','.join(kept)}]\n".encode()


def _write_other_rows(path: Path, draft: Path, lines: Collection[int]) -> None:
    """A Parquet file without these rows, from 1: the same columns, row groups and compression."""
    with pq.ParquetFile(path) as file:
        codec = file.metadata.row_group(0).column(0).compression.lower().replace("uncompressed", "none")
        first = 1
        with pq.ParquetWriter(draft, file.schema_arrow, compression=codec) as out:
            for index in range(file.num_row_groups):
                rows = file.read_row_group(index)
                numbers = np.arange(first, first + rows.num_rows)
                first += rows.num_rows
                out.write_table(rows.filter(pa.array(~np.isin(numbers, list(lines)))))


def _in_utf8(source: BinaryIO) -> BinaryIO:
    head = cast("io.BufferedReader", source).peek(2)[:2]
    return io.BytesIO(source.read().decode("utf-16", errors="replace").encode()) if head in UTF16_BOMS else source


def _rewrite(path: Path, write: Callable[[Path], None]) -> None:
    draft = path.with_name(draft_name(path.name, f"mending{_parted(path.name)[1]}"))  # its ending says how it is read
    try:
        write(draft)
        shutil.copymode(path, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _lines(path: Path, source: BinaryIO) -> Iterator[bytes]:
    """Lines of a file's content, as its reader counts them."""
    if not has_returns_alone(path):
        yield from source
        return
    rest = b""
    while piece := source.read(_PIECE):
        *lines, rest = (rest + piece).split(b"\r")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def _mended(lines: Iterator[bytes], records: Mapping[int, str], spans: Mapping[int, int]) -> Iterator[bytes]:
    skip = 0
    for number, line in enumerate(lines, start=1):
        if number == 1 and line.startswith(UTF16_BOMS):
            raise CannotMendError("a UTF-16 file is not mended record by record; land it again as UTF-8")
        if number in records:
            skip = spans[number]
            if records[number]:
                yield records[number].encode() + b"\n"
        if skip:
            skip -= 1
        else:
            yield line


def _opened(path: Path, mode: str) -> BinaryIO:
    compression = COMPRESSIONS.get(path.suffix.lower())
    if compression is None:
        return cast("BinaryIO", path.open(mode))
    if mode == "wb":
        return cast("BinaryIO", pa.output_stream(str(path), compression=compression))
    return cast("BinaryIO", io.BufferedReader(pa.input_stream(str(path), compression=compression)))
