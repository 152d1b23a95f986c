"""The metric catalogue: complete, over relations that readers have, and never changed without a new version."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voiceai_assets.catalogue import CATALOGUE, DOCUMENT, catalogue, document, read, versioned, written
from voiceai_assets.warehouse.marts import certified_marts, day_marts, views_over_days

METRICS = sorted(catalogue())
GRAINS = {name: model.grain for models in (day_marts(), views_over_days()) for name, model in models.items()}


@pytest.mark.parametrize("name", METRICS)
def test_a_changed_definition_has_a_new_version(name: str) -> None:
    metric = catalogue()[name]
    assert metric.fingerprint == metric.meaning, "run python -m voiceai_assets.catalogue"


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_says_what_it_is_and_reads_what_readers_have(name: str) -> None:
    metric = catalogue()[name]
    assert len(metric.definition) > 20
    assert metric.owner.startswith("team:")
    assert metric.better in {"up", "down", "none"}
    assert metric.unit in {"share", "score", "count", "turns", "seconds", "ms", "usd", "currency"}
    assert metric.relation in certified_marts().keys() | views_over_days().keys()
    assert bool(metric.denominator) == bool(metric.counts)
    assert metric.grain.split() == list(GRAINS[metric.relation])


def test_a_new_wording_makes_a_new_version_and_only_of_that_metric() -> None:
    before = read()
    changed = {**before, "completion": replace(before["completion"], denominator="1")}
    after = versioned(changed)
    assert after["completion"].version == before["completion"].version + 1
    assert after["completion"].fingerprint != before["completion"].fingerprint
    assert {name for name in after if after[name] != before[name]} == {"completion"}


def test_a_metric_that_was_never_versioned_starts_at_its_version() -> None:
    fresh = replace(catalogue()["completion"], fingerprint="")
    assert versioned({"completion": fresh})["completion"].version == fresh.version


def test_the_file_is_written_as_it_is_read() -> None:
    assert written(read()) == CATALOGUE.read_text()


def test_a_metric_that_stands_twice_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "metrics.csv"
    text = CATALOGUE.read_text()
    path.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(ValueError, match="stands twice"):
        read(path)


def test_the_page_of_marts_and_metrics_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == document(), "run python -m voiceai_assets.catalogue"
