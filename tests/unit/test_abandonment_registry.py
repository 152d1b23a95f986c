"""A version is what its name says, loads without running code, and anything else is refused."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
import zipfile
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.unit.abandonment_world import frames
from voiceai_assets.models.abandonment import registry as module
from voiceai_assets.models.abandonment.features import prefix_table
from voiceai_assets.models.abandonment.prefix import CATEGORICAL, NUMERIC
from voiceai_assets.models.abandonment.registry import Registry, RegistryError, load_model
from voiceai_assets.models.abandonment.training import TrainingConfig, TrainingResult, probabilities, train
from voiceai_assets.synthetic.sample import write_sample

DATA = {"2026-07-31": {"load_id": "a1", "certificate": "c1"}, "2026-08-01": {"load_id": "a2", "certificate": "c2"}}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return prefix_table(*frames(write_sample(tmp_path_factory.mktemp("sample"), date(2026, 8, 1), days=10)))


@pytest.fixture(scope="module")
def result(table: pd.DataFrame) -> TrainingResult:
    return train(table, TrainingConfig(resamples=5))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def test_a_saved_version_predicts_the_same(registry: Registry, result: TrainingResult, table: pd.DataFrame) -> None:
    loaded = registry.load(registry.save(result, DATA, "rev1"))
    predicted = loaded.predict(table)
    assert list(predicted.columns) == ["hazard", "landmark"]
    for name, head in result.heads.items():
        expected = probabilities(head.pipeline, result.schema.matrix(table))
        np.testing.assert_allclose(predicted[name], expected, rtol=0, atol=1e-12)


def test_a_version_whose_features_are_no_longer_made_is_refused(registry: Registry, table: pd.DataFrame) -> None:
    """They would be imputed for every caller, and the answers would look like any others."""
    older = train(table.assign(mood=1.0 * table["k"]), TrainingConfig(resamples=5, numeric=(*NUMERIC, "mood")))
    version = registry.save(older, DATA, "rev1")
    with pytest.raises(RegistryError, match="needs mood, which this release does not make: train again"):
        registry.load(version)
    with pytest.raises(RegistryError, match="mood"):
        registry.set_champion(version)


def test_the_same_training_gives_the_same_version(
    registry: Registry, result: TrainingResult, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = registry.save(result, DATA, "rev1")
    files = {path.name: path.read_bytes() for path in (registry.folder / first).iterdir()}
    # later, and with other objects in memory: neither a clock nor an address may get into the files
    real = time.localtime
    monkeypatch.setattr(time, "localtime", lambda *_: real(2_000_000_000))
    again = train(table.sample(frac=1, random_state=1), TrainingConfig(resamples=5))
    elsewhere = Registry(tmp_path / "elsewhere")
    assert elsewhere.save(again, dict(reversed(DATA.items())), "rev1") == first
    assert {path.name: path.read_bytes() for path in (elsewhere.folder / first).iterdir()} == files
    assert registry.save(again, DATA, "rev1") == first
    assert registry.versions() == [first]


def test_other_data_code_or_settings_give_other_versions(
    registry: Registry, result: TrainingResult, table: pd.DataFrame
) -> None:
    weaker = train(table, TrainingConfig(resamples=5, tune=True))
    saved = {
        registry.save(result, DATA, "rev1"),
        registry.save(result, DATA, "rev2"),
        registry.save(result, {}, "rev1"),
        registry.save(weaker, DATA, "rev1"),
    }
    assert len(saved) == 4
    assert registry.versions() == sorted(saved)


def test_the_card_says_where_the_model_comes_from(registry: Registry, result: TrainingResult) -> None:
    card = registry.card(registry.save(result, DATA, "rev1"))
    assert card["data_versions"] == DATA
    assert card["code_revision"] == "rev1"
    assert card["features"]["numeric"] == list(NUMERIC)
    assert card["features"]["categorical"] == list(CATEGORICAL)
    assert card["libraries"]["scikit-learn"]
    assert card["training"]["seed"] == result.config.seed
    assert card["metrics"]["heads"]["hazard"]["auc"]["value"] == result.heads["hazard"].evaluation.auc.value


def test_a_version_is_complete_or_absent(
    registry: Registry, result: TrainingResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(self: Path, target: Path) -> Path:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", no_space)
        with pytest.raises(OSError, match="no space"):
            registry.save(result, DATA, "rev1")
    assert list(registry.folder.iterdir()) == []
    assert registry.save(result, DATA, "rev1") in registry.versions()


def test_a_changed_file_is_refused(registry: Registry, result: TrainingResult) -> None:
    version = registry.save(result, DATA, "rev1")
    card = registry.folder / version / "card.json"
    card.chmod(0o644)
    card.write_text(card.read_text().replace("rev1", "rev9"))
    for action in (registry.load, registry.card, registry.set_champion):
        with pytest.raises(RegistryError, match="changed after it was saved"):
            action(version)
    with pytest.raises(RegistryError, match="changed after it was saved"):
        registry.save(result, DATA, "rev1")


def test_a_foreign_type_is_refused_even_under_a_matching_name(registry: Registry, result: TrainingResult) -> None:
    version = registry.save(result, DATA, "rev1")
    genuine = registry.folder / version
    evil = Pipeline([("run", FunctionTransformer(partial(os.system, "true")))])
    files = {path.name: path.read_bytes() for path in genuine.iterdir()}
    files["hazard.skops"] = skops.io.dumps(evil)
    # the forger knows how versions are named, so the sums agree and only the types betray the file
    forged = module._version(files)
    shutil.copytree(genuine, registry.folder / forged)
    (registry.folder / forged / "hazard.skops").chmod(0o644)
    (registry.folder / forged / "hazard.skops").write_bytes(files["hazard.skops"])
    with pytest.raises(RegistryError, match=r"refused, since it holds .*system"):
        registry.load(forged)
    with pytest.raises(RegistryError, match="refused"):
        registry.set_champion(forged)
    assert registry.champion() is None


def test_a_boosted_version_predicts_the_same_and_a_tree_that_points_outside_itself_is_refused(
    registry: Registry, table: pd.DataFrame
) -> None:
    boosted = train(table, TrainingConfig(resamples=5, kind="boosting"))
    loaded = registry.load(registry.save(boosted, DATA, "rev1"))
    expected = probabilities(boosted.heads["hazard"].pipeline, boosted.schema.matrix(table))
    np.testing.assert_allclose(loaded.predict(table)["hazard"], expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(loaded.predict(table[:250])["hazard"], expected[:250], rtol=0, atol=1e-12)
    evil = boosted.heads["hazard"].pipeline
    evil["model"]._predictors[0][0].nodes["left"][0] = 1_000_000
    with pytest.raises(RegistryError, match="points outside itself"):
        load_model(skops.io.dumps(evil), "some.skops")


def test_rolling_back_goes_to_the_champion_before(registry: Registry, result: TrainingResult) -> None:
    first, second = registry.save(result, DATA, "rev1"), registry.save(result, DATA, "rev2")
    with pytest.raises(RegistryError, match="no earlier champion"):
        registry.rollback()
    registry.set_champion(first)
    registry.set_champion(second)
    registry.set_champion(second)  # once more changes nothing
    assert registry.rollback() == first
    assert registry.champion() == first
    with pytest.raises(RegistryError, match="no earlier champion"):
        registry.rollback()


def test_what_lies_beside_the_model_is_part_of_its_name(registry: Registry, result: TrainingResult) -> None:
    version = registry.save(result, DATA, "rev1", {"a": 1}, {"card.md": b"words"})
    assert registry.card(version)["extra"] == {"a": 1}
    (registry.folder / version / "card.md").chmod(0o644)
    (registry.folder / version / "card.md").write_bytes(b"other words")
    with pytest.raises(RegistryError, match="changed after it was saved"):
        registry.load(version)


def test_a_pipeline_that_could_not_be_loaded_again_is_not_saved(registry: Registry, result: TrainingResult) -> None:
    head = result.heads["hazard"]
    evil = Pipeline([("run", FunctionTransformer(partial(os.system, "true")))])
    broken = {**result.heads, "hazard": type(head)(evil, head.evaluation, head.baselines)}
    with pytest.raises(RegistryError, match="refused"):
        registry.save(type(result)(**{**vars(result), "heads": broken}), DATA, "rev1")
    assert registry.versions() == []


@pytest.mark.parametrize("content", [b"", b"not a zip", b"\x80\x04N."])
def test_bytes_that_are_no_skops_file_are_refused(content: bytes) -> None:
    with pytest.raises(RegistryError, match="not a readable skops file"):
        load_model(content, "some.skops")


def test_something_else_than_a_pipeline_is_refused() -> None:
    with pytest.raises(RegistryError, match="holds a dict"):
        load_model(skops.io.dumps({"a": 1}), "some.skops")


def test_model_files_hold_no_address_and_no_time(registry: Registry, result: TrainingResult) -> None:
    version = registry.save(result, DATA, "rev1")
    with zipfile.ZipFile(io.BytesIO((registry.folder / version / "hazard.skops").read_bytes())) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert "__id__" not in archive.read("schema.json").decode()


def test_the_champion_is_a_pointer_to_a_loadable_version(registry: Registry, result: TrainingResult) -> None:
    assert registry.champion() is None
    assert registry.versions() == []
    first, second = registry.save(result, DATA, "rev1"), registry.save(result, DATA, "rev2")
    registry.set_champion(first)
    assert registry.champion() == first
    with pytest.raises(RegistryError, match="no complete version 0123456789ab"):
        registry.set_champion("0123456789ab")
    assert registry.champion() == first
    registry.set_champion(second)
    assert registry.champion() == second
    assert json.loads((registry.folder / "champion.json").read_text()) == {"version": second, "earlier": [first]}
    assert sorted(path.name for path in registry.folder.iterdir()) == sorted([first, second, "champion.json"])


@pytest.mark.parametrize("content", ["", "[]", '{"version": "../../etc"}', '{"other": 1}'])
def test_a_broken_champion_pointer_is_an_error_and_not_no_champion(registry: Registry, content: str) -> None:
    registry.folder.mkdir(parents=True)
    (registry.folder / "champion.json").write_text(content)
    with pytest.raises(RegistryError):
        registry.champion()


@pytest.mark.parametrize("version", ["../escape", "", "ABCDEF012345", "0123456789abc"])
def test_a_version_name_cannot_leave_the_folder(registry: Registry, version: str) -> None:
    with pytest.raises(RegistryError, match="not a version name"):
        registry.load(version)
