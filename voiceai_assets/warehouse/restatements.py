"""A day that is published again with other content: which marts differ, why, and who reads them.

Belongs here: comparing two published versions and writing it down. Does not belong here: reasons in words
(``governance.restatement``), who reads whom (``governance.lineage``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from voiceai_assets.governance.lineage import exposures_reading, views_reading
from voiceai_assets.governance.restatement import reasons
from voiceai_assets.warehouse.marts import certified_marts
from voiceai_assets.warehouse.readers import CHECKSUM, columns_of

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Version:
    """The newest version of a mart's day, live or withdrawn."""

    publication_id: int
    version: int
    certificate_id: str
    content_sha256: str
    row_count: int
    is_pruned: bool


def last_versions(connection: Connection, day: str) -> dict[str, Version]:
    """Mart -> what was published of it last; empty for a day that is published for the first time."""
    found = connection.execute(
        "select distinct on (mart) mart, publication_id, version, certificate_id, content_sha256, row_count, is_pruned "
        "from governance.publications where day = %s order by mart, version desc",
        [day],
    ).fetchall()
    return {mart: Version(*rest) for mart, *rest in found}


def record_restatement(connection: Connection, day: str, before: Mapping[str, Version], certificate_id: str) -> bool:
    """Write down that a day says something else than before, if it does; whether it does.

    The checksum of a version covers the name of its load. A day that was only built anew has another name and the same
    rows, which is no restatement, so rows are compared without it.
    """
    after = {mart: v for mart, v in last_versions(connection, day).items() if v.certificate_id == certificate_id}
    pairs = {mart: (before[mart], after[mart]) for mart in after.keys() & before.keys() if before[mart] != after[mart]}
    marts = sorted(_differing(connection, day, pairs))
    if not marts:
        return False
    old, new = pairs[marts[0]]
    connection.execute(
        "insert into governance.restatements (day, old_version, new_version, old_certificate_id, new_certificate_id, "
        "reasons, marts, views, exposures) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            day, old.version, new.version, old.certificate_id, certificate_id,
            Jsonb([r.as_dict() for r in _reasons(connection, old.certificate_id, certificate_id)]),
            marts, views_reading(marts), exposures_reading(marts),
        ],
    )  # fmt: skip
    return True


def _reasons(connection: Connection, *certificates: str) -> Any:
    found = dict(
        connection.execute(
            "select certificate_id, body from governance.certificates where certificate_id = any(%s)",
            [list(certificates)],
        ).fetchall()
    )
    old, new = (json.loads(found[certificate]) for certificate in certificates)
    return reasons(old, new)


def _differing(connection: Connection, day: str, pairs: Mapping[str, tuple[Version, Version]]) -> list[str]:
    """Marts whose rows differ in more than the name of their load; pruned rows count by their number."""
    suspects = {mart: pair for mart, pair in pairs.items() if pair[0].content_sha256 != pair[1].content_sha256}
    certain = [mart for mart, (old, new) in suspects.items() if old.row_count != new.row_count]
    asked = [m for m, (old, new) in suspects.items() if m not in certain and new.row_count and not old.is_pruned]
    if not asked:
        return certain
    query = sql.SQL(" union all ").join(_bare_checksums(connection, day, mart, suspects[mart]) for mart in asked)
    bare: dict[str, set[str]] = {}
    for mart, checksum in connection.execute(query).fetchall():
        bare.setdefault(mart, set()).add(checksum)
    return certain + [mart for mart, checksums in bare.items() if len(checksums) > 1]


def _bare_checksums(connection: Connection, day: str, mart: str, pair: tuple[Version, Version]) -> sql.Composed:
    names = [name for name, _ in columns_of(connection, "marts", mart) if name != "load_id"]
    return sql.SQL(
        "select {literal}, checksum from (select t.publication_id, " + CHECKSUM.replace("(t, ", "(t.content, ") + " "
        "as checksum from (select publication_id, row({names}) as content from published.{mart} "
        "where {column} = {day} and publication_id = any({ids})) t group by t.publication_id) c"
    ).format(
        literal=sql.Literal(mart),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        mart=sql.Identifier(mart),
        column=sql.Identifier(certified_marts()[mart]),
        day=sql.Literal(day),
        ids=sql.Literal([version.publication_id for version in pair]),
    )
