"""Everything that a home holds outside landing, as bytes that can be searched, and the search.

Belongs here: finding all places where something could be kept. Does not belong here: what must not be found there.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import psycopg
import pyarrow.parquet as pq
from psycopg import sql

from tests.integration.world import World
from voiceai_assets.dashboard.app import create_app

_WORD = 8  # bytes that are compared at once; no needle is shorter
_BEYOND_CHANCE = 12

Place = tuple[str, bytes]


def everything_of(world: World) -> Iterator[Place]:
    """Every place with its content: tables of every database, files, pages."""
    yield from _databases(world)
    yield from _files(world)
    yield from _pages(world)


# -- tables ------------------------------------------------------------------------------------------------------------


def _databases(world: World) -> Iterator[Place]:
    warehouse = world.pipeline.warehouse
    for address in (warehouse.admin, warehouse.dagster):
        with psycopg.connect(address.libpq()) as connection:
            connection.execute("checkpoint")  # so that the server's files hold what its tables hold
            tables = connection.execute(
                "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                "where c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition "
                "and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' order by 1, 2"
            ).fetchall()
            for schema, table in tables:
                yield f"{address.parameters['dbname']}: {schema}.{table}", _rows(connection, schema, table)


def _rows(connection: psycopg.Connection[Any], schema: str, table: str) -> bytes:
    found = connection.execute(sql.SQL("select * from {}").format(sql.Identifier(schema, table)))
    return b"\n".join(_bytes(value) for row in found for value in row if value is not None)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | memoryview):
        return b"\n".join(content for _, content in unpacked("", bytes(value)))
    return (value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)).encode()


# -- files -------------------------------------------------------------------------------------------------------------


def _files(world: World) -> Iterator[Place]:
    """Logs, lake, models, dbt's target, Dagster's folder, the server's own files and log: all but landing and key."""
    home = world.settings.home
    for path in sorted(home.rglob("*")):
        is_meant_to_hold_it = path.is_relative_to(world.settings.landing) or path.name == "pseudonym.key"
        if path.is_file() and not is_meant_to_hold_it:
            yield from unpacked(path.relative_to(home).as_posix(), path.read_bytes())


def unpacked(name: str, content: bytes) -> Iterator[Place]:
    """The content, and what is inside it where it is compressed or an archive."""
    yield name, content
    if content[:4] == b"PAR1":
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
        yield f"{name} (rows)", json.dumps(rows, default=str, ensure_ascii=False).encode()
    elif content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from unpacked(f"{name}/{member}", archive.read(member))
    elif content[:2] == b"\x1f\x8b":
        yield from unpacked(f"{name} (gunzipped)", gzip.decompress(content))
    elif content[:1] == b"\x78":
        try:
            inside = zlib.decompress(content)
        except zlib.error:
            return
        yield f"{name} (inflated)", inside


# -- pages -------------------------------------------------------------------------------------------------------------


def _pages(world: World) -> Iterator[Place]:
    """The dashboard as a browser would get it: the page, its layout, what its callbacks answer, the export."""
    app = create_app(world.pipeline.warehouse.reader, world.settings.dagster_url)
    client = app.server.test_client()
    for address in ("/", "/_dash-layout", "/_dash-dependencies", "/export/days.csv", "/health"):
        answer = client.get(address)
        assert answer.status_code == 200, f"{address}: {answer.status}"
        yield f"dashboard: {address}", answer.data
    for dependency in client.get("/_dash-dependencies").json:
        if dependency.get("clientside_function") is None:
            answer = client.post("/_dash-update-component", json=_question(dependency))
            assert answer.status_code == 200, f"{dependency['output']}: {answer.status}"
            yield f"dashboard: {dependency['output'][:40]}", answer.data


def _question(dependency: Mapping[str, Any]) -> dict[str, Any]:
    """What a browser asks on the first visit."""
    names = re.findall(r"([\w-]+)\.([\w-]+)", dependency["output"])
    outputs = [{"id": name, "property": prop} for name, prop in names]
    given = {"search": "", "n_intervals": 0}
    return {
        "output": dependency["output"],
        "outputs": outputs if dependency["output"].startswith("..") else outputs[0],
        "changedPropIds": [],
        "inputs": [{**i, "value": given.get(i["property"])} for i in dependency["inputs"]],
        "state": [{**s, "value": None} for s in dependency["state"]],
    }


# -- search ------------------------------------------------------------------------------------------------------------


def search(places: Iterable[Place], needles: Iterable[str]) -> dict[str, list[str]]:
    """Place -> needles found in it, whatever their case; digits only where they stand as a number of their own.

    A hundred megabytes are searched for thousands of needles in seconds: the first eight bytes of every needle are
    looked up at every position at once.
    """
    wanted: dict[bytes, list[bytes]] = {}
    for needle in needles:
        found = needle.lower().encode()
        assert len(found) >= _WORD, f"{needle!r} is too short to be told from chance"
        wanted.setdefault(found[:_WORD], []).append(found)
    starts = np.array(sorted(np.frombuffer(start, "<u8")[0] for start in wanted), dtype="<u8")
    found_in: dict[str, set[str]] = {}
    for place, content in places:
        text = content.lower()
        for position in _positions(text, starts):
            for needle in wanted[text[position : position + _WORD]]:
                if text.startswith(needle, position) and _stands_alone(text, position, needle):
                    found_in.setdefault(place, set()).add(needle.decode())
    return {place: sorted(found) for place, found in found_in.items()}


def _positions(text: bytes, starts: np.ndarray[Any, Any]) -> list[int]:
    positions: list[int] = []
    for shift in range(_WORD):
        count = (len(text) - shift) // _WORD
        if count <= 0:
            break
        words = np.frombuffer(text, "<u8", count, shift)
        at = np.searchsorted(starts, words)
        hits = np.flatnonzero(starts[np.minimum(at, len(starts) - 1)] == words)
        positions += (hits * _WORD + shift).tolist()
    return positions


def _stands_alone(text: bytes, position: int, needle: bytes) -> bool:
    """Ten digits inside a checksum, a longer number or a fraction are chance; twelve are not."""
    if len(needle) >= _BEYOND_CHANCE or not needle.isdigit():
        return True
    before, after = text[max(0, position - 2) : position], text[position + len(needle) : position + len(needle) + 1]
    is_fraction = before[-1:] == b"." and before[:1].isdigit()
    return not (is_fraction or before[-1:].isalnum() or after.isalnum())
