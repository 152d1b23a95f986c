"""The metric catalogue: what each number means, in one place, with a version (``dbt_project/seeds/metrics.csv``).

Belongs here: reading it, and making a new version of a definition that changed. Does not belong here: SQL that runs
(dashboards and reports build it from the expressions), how a number looks.

A ratio is ``sum(numerator) / sum(denominator)`` over the rows of ``relation``, never a mean of ratios. A metric without
denominator (a percentile) is read as it stands and must not be added up.

``python -m voiceai_assets.catalogue`` after a change of a definition raises its version; a test refuses a changed
definition under an old version, because a figure and its definition must stay together.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from voiceai_assets.settings import REPOSITORY

CATALOGUE = REPOSITORY / "dbt_project" / "seeds" / "metrics.csv"
_MEANING = ("definition", "relation", "numerator", "denominator", "counts", "unit")


@dataclass(frozen=True)
class Metric:
    """One definition.

    Attributes:
        metric: its name.
        version: of the definition; from 1.
        area: accessibility, efficiency, outcome, adoption, latency, cost, calls, conversations, experiments.
        label: as a page shows it.
        definition: in words.
        relation: certified mart or view that it is computed from.
        numerator: SQL over one row of the relation.
        denominator: the same; empty where the number is no ratio.
        counts: what the denominator counts.
        unit: share, score, turns, seconds, ms, usd, currency.
        better: up, down or none.
        is_headline: the brief's own wording.
        owner: who answers for it.
        fingerprint: of all that decides the number, as of this version.
    """

    metric: str
    version: int
    area: str
    label: str
    definition: str
    relation: str
    numerator: str
    denominator: str
    counts: str
    unit: str
    better: str
    is_headline: bool
    owner: str
    fingerprint: str

    @property
    def meaning(self) -> str:
        """Fingerprint of what the definition says now."""
        said = [getattr(self, name) for name in _MEANING]
        return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()[:12]


def read(path: Path = CATALOGUE) -> dict[str, Metric]:
    """Every metric by name.

    Raises:
        ValueError: for a metric that stands twice.
    """
    found: dict[str, Metric] = {}
    for row in csv.DictReader(io.StringIO(path.read_text())):
        text = {key: row.get(key) or "" for key in (f.name for f in fields(Metric))}
        metric = Metric(
            **{k: v for k, v in text.items() if k not in {"version", "is_headline"}},
            version=int(text["version"]),
            is_headline=text["is_headline"] == "true",
        )
        if metric.metric in found:
            raise ValueError(f"{path}: {metric.metric} stands twice")
        found[metric.metric] = metric
    return found


@functools.cache
def catalogue() -> Mapping[str, Metric]:
    """The catalogue of this revision."""
    return read()


def definitions() -> dict[str, int]:
    """Metric -> version: what a certificate says of the definitions in force."""
    return {name: metric.version for name, metric in sorted(catalogue().items())}


def versioned(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """The same with a new version for each definition that changed."""
    return {
        name: replace(m, version=m.version + bool(m.fingerprint), fingerprint=m.meaning)
        if m.fingerprint != m.meaning
        else m
        for name, m in metrics.items()
    }


def written(metrics: Mapping[str, Metric]) -> str:
    """The catalogue as a file."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [f.name for f in fields(Metric)], lineterminator="\n")
    writer.writeheader()
    for metric in metrics.values():
        writer.writerow({**asdict(metric), "is_headline": str(metric.is_headline).lower()})
    return out.getvalue()


if __name__ == "__main__":
    before = read()
    after = versioned(before)
    CATALOGUE.write_text(written(after))
    changed = [f"{name}: version {m.version}" for name, m in after.items() if m != before[name]]
    sys.stdout.write("\n".join(changed or ["no definition changed"]) + "\n")
