"""What makes a row unique, held against the rows that a platform has.

Belongs here: reading each model's ``meta.grain`` and looking for rows that share it. Does not belong here: which
platform, and whether a figure is right.
"""

from __future__ import annotations

from psycopg import sql

from tests.integration.world import World
from voiceai_assets.warehouse.marts import MODELS
from voiceai_assets.yaml_files import read_yaml


def declared() -> dict[tuple[str, str], list[str]]:
    """(schema, relation) -> columns that make a row of it unique."""
    return {
        (folder, model["name"]): model["config"]["meta"]["grain"]
        for folder in ("marts", "certified", "exp")
        for path in (MODELS / folder).rglob("*.yml")
        if path.with_suffix(".sql").exists()
        for model in read_yaml(path)["models"]
    }


def shared(world: World) -> dict[str, int]:
    """Relation -> groups of rows that cannot be told apart by its grain; relations without any are left out."""
    found = {
        f"{schema}.{name}": _groups(world, schema, name, columns) for (schema, name), columns in declared().items()
    }
    return {name: groups for name, groups in found.items() if groups}


def empty(world: World) -> set[str]:
    """Relations that have no row, of which uniqueness therefore says nothing."""
    with world.pipeline.warehouse.connect() as connection:
        return {
            f"{schema}.{name}"
            for schema, name in declared()
            if not connection.execute(sql.SQL("select from {} limit 1").format(sql.Identifier(schema, name))).fetchall()
        }


def _groups(world: World, schema: str, name: str, columns: list[str]) -> int:
    with world.pipeline.warehouse.connect() as connection:
        found = connection.execute(
            sql.SQL("select count(*) from (select from {} group by {} having count(*) > 1) as shared").format(
                sql.Identifier(schema, name), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
        ).fetchone()
    return int(found[0]) if found else 0
