"""One JSON document per file: an object, a list of objects, or lines after all.

Belongs here: how such a file is cut into records. Documents are small (a call, a list of releases), so a file is held
in memory as a whole; something large belongs into JSON lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from voiceai_assets.lake.reading.block import BLOCK, Block, UnreadableFileError
from voiceai_assets.lake.reading.bytes import DamagedError, storable, whole_lines
from voiceai_assets.lake.reading.lines import damage, line_blocks

LARGEST = 256 * 2**20


def document_blocks(path: Path) -> Iterator[Block]:
    """The file's object, or each object of its list, as one record; its line is its position from 1.

    A file that is no JSON at all becomes one unreadable record, cut off where it ends. A file of several lines that
    are objects each is read as JSON lines.

    Raises:
        UnreadableFileError: when it is too large to be held as a whole.
    """
    content = b""
    try:
        for chunk in whole_lines(path):
            content += chunk
            if len(content) > LARGEST:
                raise UnreadableFileError(f"{path.name}: larger than {LARGEST:,} bytes; land it as JSON lines")
    except DamagedError as error:
        yield damage(1, error)
        return
    text = storable(content).decode(errors="replace").strip()
    if not text:
        return
    if "\ufffd" in text and not _is_utf8(content):
        yield _block([text], "encoding: the document is not UTF-8")
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        if _is_lines(text):
            yield from line_blocks(path)
        else:
            yield _block([text], None, is_cut_off=True)
        return
    yield _block(items_of(text) if isinstance(found, list) else [text], None)


def _block(texts: list[str], problem: str | None, *, is_cut_off: bool = False) -> Block:
    rows = {"line": list(range(1, len(texts) + 1)), "text": texts, "problem": [problem] * len(texts)}
    return Block(pa.table(rows, schema=BLOCK), is_cut_off=is_cut_off)


def items_of(text: str) -> list[str]:
    r"""The text of each item of a JSON list, as it stands there.

    To write the parsed items anew would alter them: of a key that stands twice one value would be left, and half a
    surrogate pair (``\ud83d``, an emoji that was cut) cannot be written at all.
    """
    decoder, at, items = json.JSONDecoder(), _next(text, text.index("[") + 1), []
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        items.append(text[at:end])
        at = _next(text, end)
        at = _next(text, at + 1) if text[at] == "," else at
    return items


def _next(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_lines(text: str) -> bool:
    first, separator, _ = text.partition("\n")
    try:
        return bool(separator) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False
