"""The metric catalogue: what each number means, in one place, with a version (``dbt_project/seeds/metrics.csv``).

Belongs here: reading it, and making a new version of a definition that changed. Does not belong here: SQL that runs
(dashboards and reports build it from the expressions), how a number looks.

A ratio is ``sum(numerator) / sum(denominator)`` over the rows of ``relation``, never a mean of ratios. A metric without
denominator (a percentile) is read as it stands and must not be added up.

``python -m voiceai_assets.catalogue`` after a change of a definition raises its version, and writes ``docs/marts.md``;
a test refuses a changed definition under an old version, because a figure and its definition must stay together.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from voiceai_assets.settings import REPOSITORY
from voiceai_assets.warehouse.marts import day_marts, views_over_days

CATALOGUE = REPOSITORY / "dbt_project" / "seeds" / "metrics.csv"
DOCUMENT = REPOSITORY / "docs" / "marts.md"
_INTRODUCTION = """The marts and views that `bi_reader` can read; those over the ledgers stand in
[governance.md](governance.md), the scores in [model.md](model.md). Column by column: `voiceai docs`, or
`\\d+ certified.NAME` in `voiceai psql`."""
_MEANING = ("definition", "relation", "numerator", "denominator", "counts", "unit")


@dataclass(frozen=True)
class Metric:
    """One definition.

    Attributes:
        metric: its name.
        version: of the definition; from 1.
        area: accessibility, efficiency, outcome, adoption, latency, speech, cost, calls, conversations, experiments.
        label: as a page shows it.
        definition: in words.
        relation: certified mart or view that it is computed from.
        grain: columns that make a row of the relation unique: the finest that the metric can be told by.
        numerator: SQL over one row of the relation.
        denominator: the same; empty where the number is no ratio.
        counts: what the denominator counts.
        unit: share, score, count, turns, seconds, ms, usd, currency.
        better: up, down or none.
        is_headline: the brief's own wording.
        rests_on: KPIs of ``certified.contradiction_report`` that it hangs on, separated by blanks.
        owner: who answers for it.
        fingerprint: of all that decides the number, as of this version.
    """

    metric: str
    version: int
    area: str
    label: str
    definition: str
    relation: str
    grain: str
    numerator: str
    denominator: str
    counts: str
    unit: str
    better: str
    is_headline: bool
    rests_on: str
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
    """The same with a new version for each definition that changed, and the grain of each one's relation."""
    grains = {name: mart.grain for name, mart in day_marts().items()}
    grains |= {name: view.grain for name, view in views_over_days().items()}
    known = {name: replace(m, grain=" ".join(grains[m.relation])) for name, m in metrics.items()}
    return {
        name: replace(m, version=m.version + bool(m.fingerprint), fingerprint=m.meaning)
        if m.fingerprint != m.meaning
        else m
        for name, m in known.items()
    }


def written(metrics: Mapping[str, Metric]) -> str:
    """The catalogue as a file."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [f.name for f in fields(Metric)], lineterminator="\n")
    writer.writeheader()
    for metric in metrics.values():
        writer.writerow({**asdict(metric), "is_headline": str(metric.is_headline).lower()})
    return out.getvalue()


def document() -> str:
    """Every mart, view and metric as Markdown (``docs/marts.md``)."""
    parts = [
        "# Marts and metrics",
        "<!-- written by `python -m voiceai_assets.catalogue` -->",
        _INTRODUCTION,
        "## Day marts",
        "Judged and published day by day; each row bears the version it was published under and its certificate.",
        _table(("mart", "grain"), [(f"`certified.{m.name}`", _grain(m.description)) for m in day_marts().values()]),
        "## Views over published days",
        _table(
            ("view", "grain"),
            [(f"`{v.schema}.{v.name}`", _grain(v.description)) for _, v in sorted(views_over_days().items())],
        ),
        "## Metrics",
        "A ratio is the sum of the numerator over the sum of the denominator. Bold: the brief's own wording.",
    ]
    for area in dict.fromkeys(metric.area for metric in catalogue().values()):
        rows = [
            (f"**{m.label}**" if m.is_headline else m.label, f"`{m.metric}` v{m.version}", m.definition, m.relation)
            for m in catalogue().values()
            if m.area == area
        ]
        parts += [f"### {area.capitalize()}", _table(("metric", "name", "definition", "computed from"), rows)]
    return "\n\n".join(parts) + "\n"


def _grain(description: str) -> str:
    """The first sentence, which states it; a model's description opens with it."""
    text = " ".join(description.removeprefix("Grain:").split())
    return text.split(". ")[0].rstrip(".")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    before = read()
    after = versioned(before)
    CATALOGUE.write_text(written(after))
    changed = [f"{name}: version {m.version}" for name, m in after.items() if m != before[name]]
    catalogue.cache_clear()
    DOCUMENT.write_text(document())
    sys.stdout.write("\n".join(changed or ["no definition changed"]) + "\n")
