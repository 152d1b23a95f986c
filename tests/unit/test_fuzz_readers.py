"""Fuzz target of the readers: any bytes in, an account that adds up out, and never an error that nobody expected.

``make test-slow`` runs it; more of it: ``FUZZ_EXAMPLES=20000 pytest -m slow tests/unit/test_fuzz_readers.py``. What it
finds becomes a case of its own in ``test_hostile_files``.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voiceai_assets.lake.account import DayLoad
from voiceai_assets.lake.inbox import refresh
from voiceai_assets.lake.indexing import IndexedFile
from voiceai_assets.lake.refine import Refinery
from voiceai_assets.privacy.pseudonyms import Pseudonymiser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
fuzzed = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
DAYS = ("2026-08-01", "2026-08-02")
COLUMNS = ("session_id", "turn_number", "timestamp", "user_id", "user_text", "asr_confidence", "extra")
BLANK = b" \t\r\v\f"


# -- what comes in -----------------------------------------------------------------------------------------------------

texts = st.text(max_size=20) | st.sampled_from(
    [
        *("", "NaN", "-1", "1e999", "+250788123456", "=1+1", "\0", "\ufeff", "null", "{}", '"', '{"a": [1, "b"]}'),
        *("2026-08-01T10:00:00+14:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59", "294277-01-01T00:00:00"),
        *("€" * 60, "x" + "€" * 3000),
    ]
)
stamps = st.builds(
    "{}T{:02}:{:02}:00{}".format,
    st.sampled_from(DAYS),
    st.integers(0, 24),
    st.integers(0, 60),
    st.sampled_from(["", "Z", "+02:00", "-23:59", "+2"]),
)
values = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.lists(texts, max_size=2)
fields = st.fixed_dictionaries(
    {"session_id": texts | st.just("s"), "turn_number": st.integers(-1, 5) | values, "timestamp": stamps | values},
    optional=dict.fromkeys(COLUMNS[3:], values) | {"unknown": values},
)
json_lines = st.lists(fields.map(lambda row: json.dumps(row).encode()), max_size=6).map(b"\n".join)
cells = st.text(st.characters(exclude_characters='"\n\r', exclude_categories=["Cs"]), max_size=8)
csv_texts = st.lists(st.lists(cells, min_size=1, max_size=8), max_size=6).map(
    lambda rows: "\n".join(",".join(row) for row in [list(COLUMNS), *rows]).encode()
)
quoted_csv_texts = st.builds(
    lambda text: (",".join(COLUMNS) + "\n" + text).encode(errors="surrogatepass"),
    st.text(st.sampled_from("as1,;\"\n\r\t '\ud800é"), max_size=120),
)
junk = st.binary(max_size=6) | st.sampled_from(
    [b"\n", b"\r\n", b"\0", b'"', b"\\u0000", b"\\ud800", b"{", b"}", b"[" * 300, b"\xff\xfe", b"\xef\xbb\xbf",
     b",,,,,,", b" " * 5 + b"\n", b"\x85\n", b"\xc2\xa0\n", b"\x1f\x8b", b"NaN", b"//"]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes], most: int = 4) -> bytes:
    """A content in which bytes were inserted, overwritten, or cut off."""
    content = draw(whole)
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(["insert", "overwrite", "cut"])):
            case "insert":
                content = content[:at] + draw(junk) + content[at:]
            case "overwrite":
                new = draw(junk)
                content = content[:at] + new + content[at + len(new) :]
            case _:
                content = content[:at]
    return content


def parquet(rows: list[dict[str, object]]) -> bytes:
    columns = {name: [None if row.get(name) is None else str(row[name]) for row in rows] for name in COLUMNS}
    out = io.BytesIO()
    cleaned = {n: [v and v.encode(errors="replace").decode() for v in column] for n, column in columns.items()}
    pq.write_table(pa.table({n: pa.array(column, pa.string()) for n, column in cleaned.items()}), out)
    return out.getvalue()


# -- what must come out ------------------------------------------------------------------------------------------------


def account_of(name: str, content: bytes) -> tuple[IndexedFile, list[DayLoad]]:
    """Index and refine a file in a landing of its own; every check on the way holds for any content."""
    with tempfile.TemporaryDirectory() as folder:
        landing = Path(folder) / "landing"
        (landing / "canonical").mkdir(parents=True)
        (landing / "canonical" / name).write_bytes(content)
        (file,) = refresh(landing, {}, timezone="Africa/Kigali", quiet_seconds=0).fresh
        days = sorted(file.days)
        refinery = Refinery(landing, Path(folder) / "lake", "Africa/Kigali", Pseudonymiser(b"k" * 32), days)
        try:
            loads = [load for day in days for load in refinery.refine(day, [file])]
        finally:
            refinery.close()
    for load in loads:
        for account in load.files:
            parts = account.rows_loaded + account.rows_quarantined + account.rows_duplicate
            assert account.rows_in == parts, account
            assert account.problem == file.problem
    booked = {(load.dataset, load.day): load.rows_in for load in loads if load.rows_in}
    counted = {(d, day): n for d, by_day in file.rows.items() for day, n in by_day.items() if n}
    assert booked == counted, "the index and the lake saw other records"
    return file, loads


def records(loads: list[DayLoad]) -> int:
    return sum(load.rows_in for load in loads)


def lines_of(content: bytes) -> int:
    """Records of JSON lines, counted without our reader."""
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        content = content.decode("utf-16", errors="replace").encode()
    return sum(bool(line.strip(BLANK)) for line in _split(content.removeprefix(b"\xef\xbb\xbf")))


def _split(content: bytes) -> list[bytes]:
    """Lines; a file without any newline may have carriage returns in their place."""
    return content.split(b"\n" if b"\n" in content else b"\r")


@fuzzed
@given(content=damaged(json_lines) | st.binary(max_size=80))
def test_json_lines(content: bytes) -> None:
    file, loads = account_of("turns.jsonl", content)
    assert file.problem is None
    assert records(loads) == lines_of(content)


@fuzzed
@given(content=damaged(csv_texts) | damaged(quoted_csv_texts) | st.binary(max_size=80))
def test_csv(content: bytes) -> None:
    file, loads = account_of("turns.csv", content)
    if file.problem is None and b'"' not in content and content[:2] not in {b"\xff\xfe", b"\xfe\xff"}:
        body = content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
        assert records(loads) == sum(bool(line.strip(BLANK)) for line in _split(body)[1:])


@fuzzed
@given(rows=st.lists(fields, max_size=5), damage=st.data())
def test_parquet(rows: list[dict[str, object]], damage: st.DataObject) -> None:
    whole = parquet(rows)
    content = damage.draw(damaged(st.just(whole), most=2))
    file, loads = account_of("turns.parquet", content)
    if content == whole:
        assert file.problem is None
        assert records(loads) == len(rows)


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)  # type: ignore[no-any-return]


@fuzzed
@given(content=json_lines | csv_texts, is_csv=st.booleans(), ending=st.sampled_from(["gz", "zst"]), damage=st.data())
def test_archives(content: bytes, is_csv: bool, ending: str, damage: st.DataObject) -> None:
    compress: Callable[[bytes], bytes] = gzip.compress if ending == "gz" else zstd
    whole = compress(content)
    landed = damage.draw(damaged(st.just(whole), most=2))
    file, loads = account_of(f"turns.{'csv' if is_csv else 'jsonl'}.{ending}", landed)
    if not is_csv:
        assert file.problem is None
        expected = lines_of(content)
        assert records(loads) == expected if landed == whole else records(loads) >= 0
