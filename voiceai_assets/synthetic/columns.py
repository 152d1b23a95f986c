"""Columns of files, made without a Python loop over rows: as Arrow arrays, and as members of JSON lines.

Belongs here: the kinds of columns and how each is spelled. Does not belong here: which columns a file has
(``sources``), opening and closing files (``files``).

Each kind knows a short cut: an index into few texts is one look-up, a number of milliseconds is one into the texts of
all of them, an id or a time is a fixed number of bytes. A million turns of 30 columns become JSON lines in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from voiceai_assets.synthetic.streams import Floats, Ints, Words

DAY_MS = 86_400_000
_ROWS_AT_ONCE = 4096
_FOUR = 4  # digits in one look-up
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_quoted = json.JSONEncoder(ensure_ascii=False).encode
Rows = NDArray[np.intp]
Bytes = NDArray[np.uint8]


class Column(Protocol):
    """One column of a table."""

    def take(self, rows: Rows) -> Column:
        """These rows."""

    def array(self) -> pa.Array:
        """As it stands in CSV and Parquet."""

    def members(self, name: str, before: str = "") -> pa.Array:
        """``"name":value`` for each row, with ``before`` in front of it, or null where the value is; or look-ups."""


Table = Mapping[str, Column]


@dataclass(frozen=True, eq=False)
class Coded:
    """Text out of a few; a negative index is null."""

    names: Sequence[str | None]
    index: NDArray[np.integer]

    def take(self, rows: Rows) -> Coded:
        """These rows."""
        return Coded(self.names, self.index[rows])

    def array(self) -> pa.Array:
        """Text."""
        return pa.array(self.names, pa.string()).take(self._arrow_index())

    def members(self, name: str, before: str = "") -> pa.Array:
        """A look-up among finished members."""
        key = _key(name, before)
        texts = [None if n is None else f"{key}{_quoted(n)}" for n in self.names]
        return _looked_up(self._arrow_index(), pa.array(texts, pa.string()))

    def _arrow_index(self) -> pa.Array:
        return pa.array(self.index.astype(np.int32), mask=self.index < 0)


@dataclass(frozen=True, eq=False)
class Flag:
    """Yes or no."""

    values: NDArray[np.bool_]

    def take(self, rows: Rows) -> Flag:
        """These rows."""
        return Flag(self.values[rows])

    def array(self) -> pa.Array:
        """Boolean."""
        return pa.array(self.values)

    def members(self, name: str, before: str = "") -> pa.Array:
        """A look-up."""
        key = _key(name, before)
        return _looked_up(pa.array(self.values.astype(np.int32)), pa.array([f"{key}false", f"{key}true"]))


@dataclass(frozen=True, eq=False)
class Whole:
    """Whole numbers from 0 to some ten thousands; a negative one is null."""

    values: NDArray[np.integer]

    def take(self, rows: Rows) -> Whole:
        """These rows."""
        return Whole(self.values[rows])

    def array(self) -> pa.Array:
        """Integers."""
        return pa.array(self.values.astype(np.int64), mask=self.values < 0)

    def members(self, name: str, before: str = "") -> pa.Array:
        """A look-up among all numbers up to the largest."""
        highest = int(self.values.max(initial=0))
        texts = _numbers(name, before, 1 << highest.bit_length())
        return _looked_up(pa.array(self.values.astype(np.int32), mask=self.values < 0), texts)


@lru_cache(maxsize=64)
def _numbers(name: str, before: str, count: int) -> pa.Array:
    key = _key(name, before)
    return pa.array([f"{key}{number}" for number in range(count)])


@dataclass(frozen=True, eq=False)
class Number:
    """Any numbers, to four decimals; NaN is null."""

    values: Floats

    def take(self, rows: Rows) -> Number:
        """These rows."""
        return Number(self.values[rows])

    def array(self) -> pa.Array:
        """Numbers."""
        return pa.array(np.round(self.values, 4), mask=np.isnan(self.values))

    def members(self, name: str, before: str = "") -> pa.Array:
        """Between 0 and 1 digit by digit, others by Arrow."""
        with np.errstate(invalid="ignore"):
            is_share = bool(((self.values >= 0) & (self.values < 0.99995) | np.isnan(self.values)).all())
        missing = np.isnan(self.values)
        if is_share:
            tenthousandths = np.round(np.where(missing, 0, self.values) * 10_000).astype(np.int64)
            return spelled(f"{_key(name, before)}0.", digits(tenthousandths, 4), mask=missing)
        return pc.binary_join_element_wise(_key(name, before), self.array().cast(pa.string()), "")


@dataclass(frozen=True, eq=False)
class Spelled:
    """Text of the same number of bytes in each row, such as ids and times."""

    text: Bytes

    def take(self, rows: Rows) -> Spelled:
        """These rows."""
        return Spelled(self.text[rows])

    def array(self) -> pa.Array:
        """Text."""
        return spelled(self.text)

    def members(self, name: str, before: str = "") -> pa.Array:
        """The bytes between quotes."""
        return spelled(f'{_key(name, before)}"', self.text, '"')


@dataclass(frozen=True, eq=False)
class Spoken:
    """Any text, a row each; None is null. For what few rows have, or long documents."""

    texts: pa.Array

    def take(self, rows: Rows) -> Spoken:
        """These rows."""
        return Spoken(self.texts.take(pa.array(rows)))

    def array(self) -> pa.Array:
        """Text."""
        return self.texts

    def members(self, name: str, before: str = "") -> pa.Array:
        """Escaped one by one."""
        key = _key(name, before)
        return pa.array([None if t is None else f"{key}{_quoted(t)}" for t in self.texts.to_pylist()], pa.string())


@dataclass(frozen=True, eq=False)
class Json:
    """Objects and lists as text that is JSON already."""

    texts: pa.Array

    def take(self, rows: Rows) -> Json:
        """These rows."""
        return Json(self.texts.take(pa.array(rows)))

    def array(self) -> pa.Array:
        """The JSON as text."""
        return self.texts

    def members(self, name: str, before: str = "") -> pa.Array:
        """As it stands."""
        return pc.binary_join_element_wise(_key(name, before), self.texts, "")


@dataclass(frozen=True, eq=False)
class Group:
    """Several columns that go together: spelled once for each session, or each combination, and looked up as one.

    Its name in a table means nothing; the columns inside have their own.
    """

    table: Mapping[str, Column]
    index: Ints

    def take(self, rows: Rows) -> Group:
        """These rows."""
        return Group(self.table, self.index[rows])

    def array(self) -> pa.Array:
        """Not one column.

        Raises:
            TypeError: always.
        """
        raise TypeError("a group is several columns; ask for arrays of its table")

    def members(self, name: str, before: str = "") -> pa.Array:  # noqa: ARG002  # the columns inside have names
        """All of them, with commas between."""
        # the empty text first, because Arrow loses a row of nothing but nulls
        texts = pc.binary_join_element_wise("", *_decoded(_members(self.table, before)), "", null_handling="skip")
        return _looked_up(pa.array(self.index.astype(np.int32)), texts)


def take(table: Table, rows: Rows) -> Table:
    """These rows of a table."""
    return {name: column.take(rows) for name, column in table.items()}


def arrays(table: Table) -> dict[str, pa.Array]:
    """Columns of CSV and Parquet, those of groups among them."""
    found: dict[str, pa.Array] = {}
    for name, column in table.items():
        if isinstance(column, Group):
            index = pa.array(column.index)
            found.update({inner: array.take(index) for inner, array in arrays(column.table).items()})
        else:
            found[name] = column.array()
    return found


def height(table: Table) -> int:
    """Number of rows."""
    first = next(iter(table.values()))
    return len(first.index) if isinstance(first, Group) else len(first.array())


def json_lines(table: Table) -> Iterator[pa.Array]:
    """One JSON object a row, some thousand rows at a time; members that are null are left out.

    The first column must have no null. In pieces that fit the processor's cache joining is three times as fast, and
    only there what is looked up becomes text.
    """
    members = _members(table)
    for first in range(0, len(members[0]), _ROWS_AT_ONCE):
        pieces = [member.slice(first, _ROWS_AT_ONCE) for member in members]
        yield pc.binary_join_element_wise("{", *_decoded(pieces), "}\n", "", null_handling="skip")


def json_objects(table: Table) -> pa.Array:
    """The objects alone, to stand inside a line."""
    return pc.binary_join_element_wise("{", *_decoded(_members(table)), "}", "", null_handling="skip")


def _members(table: Table, before: str = "") -> list[pa.Array]:
    """Members that bring their own commas, so that a row is joined in one go; ``before`` stands before the first."""
    return [column.members(name, "," if number else before) for number, (name, column) in enumerate(table.items())]


def _looked_up(index: pa.Array, texts: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(index, texts)


def _decoded(members: Sequence[pa.Array]) -> list[pa.Array]:
    return [m.dictionary_decode() if isinstance(m, pa.DictionaryArray) else m for m in members]


def _key(name: str, before: str) -> str:
    """What stands before the value. No blanks: they would be a twelfth of a file, and cost as much time."""
    return f"{before}{_quoted(name)}:"


# -- bytes -------------------------------------------------------------------------------------------------------------


def spelled(*parts: str | Bytes, mask: NDArray[np.bool_] | None = None) -> pa.Array:
    """Text whose every row is these parts, one behind the other: bytes by row, or the same text in every row."""
    text = glued(*parts)
    count, width = text.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    validity = None if mask is None else pa.array(~mask).buffers()[1]
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text), validity)


def glued(*parts: str | Bytes) -> Bytes:
    """The parts side by side, as bytes by row."""
    count = next(len(part) for part in parts if not isinstance(part, str))
    blocks = [
        np.broadcast_to(np.frombuffer(part.encode(), dtype=np.uint8), (count, len(part.encode())))
        if isinstance(part, str)
        else part
        for part in parts
    ]
    return np.ascontiguousarray(np.concatenate(blocks, axis=1))


def digits(values: NDArray[np.integer], width: int) -> Bytes:
    """Decimal digits with leading zeros, four at a time: dividing by ten again and again takes three times as long."""
    if width <= _FOUR:
        found: Bytes = _spelt(width)[values]
        return found
    above, below = np.divmod(values.astype(np.int64), 10**_FOUR)
    return glued(digits(above, width - _FOUR), digits(below, _FOUR))


@lru_cache(maxsize=_FOUR)
def _spelt(width: int) -> Bytes:
    text = "".join(f"{number:0{width}}" for number in range(10**width))
    return np.frombuffer(text.encode(), dtype=np.uint8).reshape(-1, width)


@lru_cache(maxsize=1)
def _clock() -> Bytes:
    """``10:00:00`` of every second of a day."""
    text = "".join(f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}" for s in range(DAY_MS // 1000))
    return np.frombuffer(text.encode(), dtype=np.uint8).reshape(-1, 8)


def hexadecimal(values: Words) -> Bytes:
    """Sixteen hexadecimal digits."""
    octets = values.astype(">u8").view(np.uint8).reshape(-1, 8)
    return np.stack([_HEX[octets >> 4], _HEX[octets & 15]], axis=2).reshape(-1, 16)


def session_ids(ids: Words) -> Bytes:
    """Names of sessions; nothing in them leads to a caller."""
    return glued("s", hexadecimal(ids))


def user_ids(users: Ints) -> Bytes:
    """Names of callers."""
    return glued("caller-", digits(users, 8))


def instants(day: date, milliseconds: Ints) -> Bytes:
    """``2026-08-01T10:00:00.123Z``; from midnight of the day on, up to the end of the next one."""
    later = milliseconds >= DAY_MS
    dates = np.frombuffer(f"{day}{day + timedelta(days=1)}".encode(), dtype=np.uint8).reshape(2, 10)
    of_day = milliseconds - later * DAY_MS
    seconds, ms = np.divmod(of_day, 1000)
    return glued(dates[later.astype(np.int8)], "T", _clock()[seconds], ".", digits(ms, 3), "Z")
