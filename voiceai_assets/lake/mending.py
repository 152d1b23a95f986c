"""Records of a landed file by their line: reading them as they arrived, and putting corrected ones in their place.

Belongs here: text files, record by record. Does not belong here: which records were refused (the ledger knows).
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc

from voiceai_assets.adapters.base import COMPRESSIONS, FORMATS, split_name
from voiceai_assets.lake.reading import read_blocks
from voiceai_assets.lake.reading.bytes import UTF16_BOMS

MENDABLE = ("lines", "csv")


class CannotMendError(ValueError):
    """A file whose records cannot be replaced one by one, or a line that holds no record; says what to do instead."""


def texts_of(path: Path, lines: Collection[int]) -> dict[int, str]:
    """Records that begin on these lines, as they arrived (personal data included), without their newline."""
    found: dict[int, str] = {}
    for block in read_blocks(path):
        if "text" not in block.rows.column_names:
            continue
        mask = pc.is_in(block.rows["line"], pa.array(sorted(lines), pa.int64()))
        chosen = block.rows.filter(mask)
        texts = chosen["text"].to_pylist()
        found |= {
            line: text.rstrip("\r\n") for line, text in zip(chosen["line"].to_pylist(), texts, strict=True) if text
        }
    return found


def mend(path: Path, records: Mapping[int, str], kept: Path) -> None:
    """Replace records by their line; the file as it was goes to ``kept``. Atomic: a reader sees the old or the new.

    Args:
        path: a JSON-lines or CSV file, compressed or not.
        records: line -> the corrected record, without newline; an empty text removes the record.
        kept: where the old file is moved to.

    Raises:
        CannotMendError: for another format, for UTF-16, and for a line on which no record begins.
    """
    _, ending = split_name(path.name)
    if FORMATS.get(ending) not in MENDABLE:
        raise CannotMendError(f"{path.name}: records of {ending} files are not replaced singly; land the file again")
    old = texts_of(path, records.keys())
    if absent := sorted(set(records) - set(old)):
        raise CannotMendError(f"{path.name}: no record begins on line {', '.join(map(str, absent))}")
    draft = path.with_name(f".{path.name}.mending")
    try:
        with _opened(path, "rb") as source, _opened(draft, "wb", like=path) as target:
            for piece in _mended(source, records, {line: text.count("\n") + 1 for line, text in old.items()}):
                target.write(piece)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, kept)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _mended(source: BinaryIO, records: Mapping[int, str], spans: Mapping[int, int]) -> Iterator[bytes]:
    skip = 0
    for number, line in enumerate(source, start=1):
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


def _opened(path: Path, mode: str, like: Path | None = None) -> BinaryIO:
    compression = COMPRESSIONS.get((like or path).suffix.lower())
    if compression is None:
        return cast("BinaryIO", path.open(mode))
    if mode == "wb":
        return cast("BinaryIO", pa.output_stream(str(path), compression=compression))
    return cast("BinaryIO", io.BufferedReader(pa.input_stream(str(path), compression=compression)))
