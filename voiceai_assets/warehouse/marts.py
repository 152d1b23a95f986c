"""Which marts there are: read from the YAML beside each dbt model, so that a mart is declared in one place.

Belongs here: names, day columns and folders. Does not belong here: SQL, rows, Dagster.

Two kinds. A *day mart* (``models/marts``) holds rows of single days, is judged and published day by day. A *view over
days* (``models/certified``, ``models/exp``) is made from published days only, so whatever spans days (repeat contact,
engagement, the live version of a user) never sees a day that did not pass, and needs no restatement when one changes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from voiceai_assets.settings import REPOSITORY
from voiceai_assets.yaml_files import read_yaml

MODELS = REPOSITORY / "dbt_project" / "models"
_VIEW_FOLDERS = ("certified", "exp")
_REFERENCE = re.compile(r"""(?:certified|ref)\(\s*['"](\w+)['"]\s*\)""")


class MartError(ValueError):
    """A model's YAML does not say what a mart must say; the message names the file."""


@dataclass(frozen=True)
class Mart:
    """A day mart that is published."""

    name: str
    area: str
    day_column: str
    owner: str
    description: str
    grain: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """A view over published days.

    Attributes:
        schema: ``certified`` or ``exp``.
        grain: columns that make a row unique.
        reads: marts and views it is made from, by name.
    """

    name: str
    schema: str
    owner: str
    description: str
    grain: tuple[str, ...]
    reads: tuple[str, ...]


@functools.cache
def day_marts() -> Mapping[str, Mart]:
    """Every mart that is published, by name; those marked ``certified: false`` hold text and stay inside.

    Raises:
        MartError: for a model without YAML, or YAML without owner or day column.
    """
    found: dict[str, Mart] = {}
    for path in sorted((MODELS / "marts").rglob("*.sql")):
        model = _described(path)
        meta = _meta(model)
        if meta.get("certified", True):
            day_column, owner = _say(path, meta, "day_column"), _say(path, meta, "owner")
            found[path.stem] = Mart(path.stem, path.parent.name, day_column, owner, _doc(model), _grain(path, meta))
    return found


@functools.cache
def certified_marts() -> Mapping[str, str]:
    """Name -> column that files a row under its day. All of a day are published together."""
    return {mart.name: mart.day_column for mart in day_marts().values()}


@functools.cache
def views_over_days() -> Mapping[str, View]:
    """Every view over published days, by name; what a view reads stands before it."""
    found: dict[str, View] = {}
    for folder in _VIEW_FOLDERS:
        for path in sorted((MODELS / folder).rglob("*.sql")):
            model = _described(path)
            reads = tuple(dict.fromkeys(_REFERENCE.findall(path.read_text())))
            meta = _meta(model)
            found[path.stem] = View(
                path.stem, folder, _say(path, meta, "owner"), _doc(model), _grain(path, meta), reads
            )
    order = TopologicalSorter({name: [r for r in view.reads if r in found] for name, view in found.items()})
    return {name: found[name] for name in order.static_order()}


@functools.cache
def columns_of_mart(name: str) -> Mapping[str, str]:
    """Column -> type of a mart or view, as its YAML promises.

    Raises:
        KeyError: when there is no such model.
    """
    path = next((p for p in MODELS.rglob(f"{name}.sql")), None)
    if path is None:
        raise KeyError(f"there is no model {name}")
    return {column["name"]: str(column["data_type"]) for column in _described(path)["columns"]}


def _described(path: Path) -> dict[str, Any]:
    try:
        models: list[dict[str, Any]] = read_yaml(path.with_suffix(".yml"))["models"]
        return next(model for model in models if model["name"] == path.stem)
    except (OSError, KeyError, StopIteration) as error:
        raise MartError(f"{path} needs a {path.stem}.yml beside it that describes it") from error


def _meta(model: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = model.get("config", {}).get("meta") or model.get("meta") or {}
    return found


def _doc(model: Mapping[str, Any]) -> str:
    return str(model.get("description", "")).strip()


def _say(path: Path, meta: Mapping[str, Any], key: str) -> str:
    if key not in meta:
        raise MartError(f"{path.with_suffix('.yml')} must say meta.{key}")
    return str(meta[key])


def _grain(path: Path, meta: Mapping[str, Any]) -> tuple[str, ...]:
    if not meta.get("grain"):
        raise MartError(f"{path.with_suffix('.yml')} must say meta.grain: the columns that make a row unique")
    return tuple(meta["grain"])
