"""CSV with quotes where no writer puts them: Python's reader, and a new start after each line that misleads it.

Belongs here: lines to records. Does not belong here: blocks, bytes (``csvs``).

A quote that is opened and never closed would make one cell of all the rows behind it, and a quote that another row
closes would swallow those between. Both come to light: the reader is strict about what follows a closing quote. Then
the line on which the record began stands alone, and reading begins anew on the next one.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

OPEN = "wrong_shape: a quote is opened and never closed"


class OddRecord(NamedTuple):
    """Cells of the lines ``[first, after)``, or the problem with them."""

    first: int
    after: int
    cells: list[str]
    problem: str | None = None


def odd_records(lines: Sequence[str], delimiter: str, *, open_from: int) -> Iterator[OddRecord]:
    """Records of lines that keep their ends; blank ones give a record without cells.

    Args:
        lines: what is there so far.
        delimiter: of cells.
        open_from: a record that begins on this line or later and is still open at the end is left out: it may go on.
    """
    csv.field_size_limit(sys.maxsize)
    first, source = 0, _Lines(lines, 0)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while first < len(lines):
        try:
            record = OddRecord(first, source.next, next(reader))._replace(after=source.next)
        except csv.Error:
            if source.is_spent and first >= open_from:
                return
            record = _alone(lines[first], first, delimiter)
            source = _Lines(lines, record.after)
            reader = csv.reader(source, delimiter=delimiter, strict=True)
        yield record
        first = record.after


class _Lines:
    """Lines from one of them on, and whether more were asked for than there are."""

    def __init__(self, lines: Sequence[str], first: int) -> None:
        self._lines, self.next, self.is_spent = lines, first, False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.next == len(self._lines):
            self.is_spent = True
            raise StopIteration
        self.next += 1
        return self._lines[self.next - 1]


def _alone(line: str, number: int, delimiter: str) -> OddRecord:
    """A line as a record of its own; a stray quote in it is only a character."""
    reader = csv.reader([line, ""], delimiter=delimiter)
    try:
        cells = next(reader)
    except csv.Error as error:
        return OddRecord(number, number + 1, [], f"wrong_shape: {error}")
    return OddRecord(number, number + 1, cells, OPEN if reader.line_num > 1 else None)
