"""Who is made from whom, read from the dbt project's own references. Pure.

Belongs here: datasets -> marts -> views -> dashboards, by name. Does not belong here: days, versions, rows (``trace``).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

from voiceai_assets.contracts import DATASETS
from voiceai_assets.warehouse.marts import MODELS, day_marts, views_over_days
from voiceai_assets.yaml_files import read_yaml

_REFERENCE = re.compile(r"""(?:certified|ref)\(\s*['"](\w+)['"]\s*\)""")
_SOURCE = re.compile(r"""source\(\s*['"]\w+['"]\s*,\s*['"](\w+)['"]\s*\)""")
#: Sources that the platform writes itself, with the dataset they are made from.
_MADE_FROM = {"call_signals": "calls"}


@functools.cache
def _reads() -> Mapping[str, frozenset[str]]:
    """Model -> models and raw tables that its SQL names."""
    return {
        path.stem: frozenset(_REFERENCE.findall(text)) | frozenset(_MADE_FROM.get(s, s) for s in _SOURCE.findall(text))
        for path in sorted(MODELS.rglob("*.sql"))
        for text in [path.read_text()]
    }


@functools.cache
def datasets_of(model: str) -> frozenset[str]:
    """Datasets whose records can decide a row of a mart or a view."""
    reads = _reads().get(model, frozenset())
    direct = {name for name in reads if name in DATASETS and name not in _reads()}
    return frozenset(direct).union(*(datasets_of(name) for name in reads if name in _reads() and name != model))


def marts_fed_by(dataset: str) -> list[str]:
    """Day marts that a dataset's records can reach."""
    return [mart for mart in day_marts() if dataset in datasets_of(mart)]


def views_reading(marts: Iterable[str]) -> list[str]:
    """Views over days that are made from these marts, through other views too, as ``schema.name``."""
    touched = set(marts)
    found = []
    for view in views_over_days().values():  # what a view reads stands before it
        if touched & set(view.reads):
            touched.add(view.name)
            found.append(f"{view.schema}.{view.name}")
    return sorted(found)


@functools.cache
def exposures() -> Mapping[str, frozenset[str]]:
    """Dashboard, model, ... -> marts and views that it is declared to read (``models/exposures.yml``)."""
    declared = read_yaml(MODELS / "exposures.yml")["exposures"]
    return {one["name"]: frozenset(_REFERENCE.findall(" ".join(one.get("depends_on", [])))) for one in declared}


def exposures_reading(marts: Iterable[str]) -> list[str]:
    """Dashboards and models that see these marts, directly or through views."""
    touched = set(marts)
    touched |= {view.split(".", 1)[1] for view in views_reading(touched)}
    return sorted(name for name, reads in exposures().items() if reads & touched)
