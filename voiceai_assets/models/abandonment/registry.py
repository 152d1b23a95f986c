"""Versions of the model on disk: immutable folders, named by what they contain, and a pointer to the champion.

Belongs here: writing, checking and reading ``<models>/abandonment/<version>/``, the pointer and the verdicts.
Does not belong here: deciding which version deserves to be champion (``promotion``), training.

A version is ``hazard.skops``, ``landmark.skops``, ``card.json``, and what people read: ``card.md`` and pictures. Its
name is the start of a sha256 over all of them: loading proves that nothing was changed since. Files are read by skops
only: pickle and joblib run code when loaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.pipeline import Pipeline

from voiceai_assets.models.abandonment.compiled import Scorer, compiled
from voiceai_assets.models.abandonment.encoding import Schema
from voiceai_assets.models.abandonment.features import feature_hash
from voiceai_assets.models.abandonment.measures import Floats
from voiceai_assets.models.abandonment.prefix import CATEGORICAL, NUMERIC
from voiceai_assets.models.abandonment.training import HEADS, TrainingResult

NAME = "abandonment"
CARD = "card.json"
CHAMPION = "champion.json"
CANDIDATE = "candidate.json"
VERDICTS = "verdicts"
VERSION_PATTERN = re.compile(r"[0-9a-f]{12}")
LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy", "skops", "statsmodels")

#: What our pipelines hold beyond the types that skops trusts by itself. Anything else is refused: a model file is
#: untrusted input, and a type that constructs itself from a file may run code.
#: A boosted tree is a table of nodes and constructs nothing; ``_check_trees`` keeps its indices inside its tables.
ALLOWED_TYPES = frozenset({"numpy.dtype", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"})

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip member can carry


class RegistryError(RuntimeError):
    """A version is missing, was changed after it was saved, or holds something that we refuse to load."""


@dataclass(frozen=True)
class ModelVersion:
    """A loaded version."""

    version: str
    card: Mapping[str, Any]
    pipelines: Mapping[str, Pipeline] = field(repr=False)

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Columns ``hazard`` and ``landmark`` (probabilities), one row per row of a prefix table, same index."""
        return pd.DataFrame(self.score(self.schema.matrix(table)), index=table.index)

    def score(self, matrix: Floats) -> dict[str, Floats]:
        """Head -> probabilities of the rows of a matrix made by ``schema``."""
        return {name: score(matrix) for name, score in self._scorers.items()}

    @cached_property
    def _scorers(self) -> dict[str, Scorer]:
        return {name: compiled(pipeline) for name, pipeline in self.pipelines.items()}

    @cached_property
    def schema(self) -> Schema:
        """Which columns the pipelines expect."""
        return Schema.from_dict(self.card["features"]["schema"])


@dataclass(frozen=True)
class Registry:
    """All versions below one models folder."""

    models: Path

    @property
    def folder(self) -> Path:
        """Where the versions of this model are."""
        return self.models / NAME

    def versions(self) -> list[str]:
        """Names of the saved versions, sorted; the order says nothing about age."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if VERSION_PATTERN.fullmatch(path.name))

    def save(
        self,
        result: TrainingResult,
        data_versions: Mapping[str, Any],
        code_revision: str,
        extra: Mapping[str, Any] | None = None,
        attachments: Mapping[str, bytes] | None = None,
    ) -> str:
        """Write a version and return its name; saving the same training twice gives the same version.

        There is no wall clock in a version. It appears at once (temporary folder, then rename) and is read-only.

        Args:
            result: from ``training.train``.
            data_versions: day -> load id or certificate (text, or a mapping of texts) of what was trained on.
            code_revision: of this package.
            extra: what else the card says, as plain data.
            attachments: file name -> content, for people: never read by scoring.

        Raises:
            RegistryError: when a pipeline holds a type that could not be loaded again.
        """
        files = {f"{name}.skops": _canonical(skops.io.dumps(head.pipeline)) for name, head in result.heads.items()}
        for name, content in files.items():
            _trusted_types(content, name)
        files[CARD] = _json({**_card(result, data_versions, code_revision), "extra": extra or {}})
        files |= attachments or {}
        version = _version(files)
        target = self.folder / version
        if target.is_dir():
            self._read(version)  # raises where the folder no longer holds what its name says
            return version
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{version}.", dir=self.folder))
        try:
            for name, content in files.items():
                (draft / name).write_bytes(content)
                (draft / name).chmod(0o444)
            draft.chmod(0o755)  # mkdtemp makes it 0700; the dashboards may run as another user
            draft.rename(target)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            if not target.is_dir():  # else another process saved the same version first
                raise
        return version

    def card(self, version: str) -> dict[str, Any]:
        """The model card of a version, checked against its name.

        Raises:
            RegistryError: as for ``load``.
        """
        card: dict[str, Any] = json.loads(self._read(version)[CARD])
        return card

    def load(self, version: str) -> ModelVersion:
        """Read a version for scoring.

        Raises:
            RegistryError: no such version, changed files, a foreign type, a card that disagrees with itself, or
                features that are no longer made.
        """
        files = self._read(version)
        card = json.loads(files[CARD])
        features = card["features"]
        if feature_hash(features["numeric"], features["categorical"]) != features["sha256"]:
            raise RegistryError(f"version {version}: the feature list does not have the hash that its card says")
        if gone := sorted({*features["numeric"], *features["categorical"]} - {*NUMERIC, *CATEGORICAL}):
            # they would be imputed for every caller, and the answers would look like any others
            raise RegistryError(
                f"version {version} needs {', '.join(gone)}, which this release does not make: train again"
            )
        pipelines = {head: load_model(files[f"{head}.skops"], f"{version}/{head}.skops") for head in HEADS}
        return ModelVersion(version, card, pipelines)

    def set_champion(self, version: str) -> None:
        """Point to the version that scores from now on; the one before can be rolled back to.

        Raises:
            RegistryError: when it cannot be loaded; the old champion stays.
        """
        self.load(version)
        current, earlier = self._pointer()
        if version != current:
            self._write(CHAMPION, {"version": version, "earlier": [*earlier, *([current] if current else [])]})

    def rollback(self) -> str:
        """Point to the champion before this one again, and return it.

        Raises:
            RegistryError: when there was none, or it can no longer be loaded.
        """
        _, earlier = self._pointer()
        if not earlier:
            raise RegistryError("there is no earlier champion to go back to")
        self.load(earlier[-1])
        self._write(CHAMPION, {"version": earlier[-1], "earlier": earlier[:-1]})
        return earlier[-1]

    def champion(self) -> str | None:
        """The version that scores now, or None before the first one.

        Raises:
            RegistryError: when the pointer cannot be read.
        """
        return self._pointer()[0]

    def record_verdict(self, version: str, verdict: Mapping[str, Any]) -> None:
        """Say what the criteria found of a version; it is the candidate until another one is judged."""
        (self.folder / VERDICTS).mkdir(parents=True, exist_ok=True)
        self._write(f"{VERDICTS}/{_checked_name(version)}.json", verdict)
        self._write(CANDIDATE, {"version": version})

    def verdict(self, version: str) -> dict[str, Any] | None:
        """What the criteria found, or None for a version that never was a candidate."""
        return self._document(f"{VERDICTS}/{_checked_name(version)}.json")

    def candidate(self) -> str | None:
        """The version that was judged last."""
        found = self._document(CANDIDATE)
        return None if found is None else _checked_name(found.get("version"))

    def _pointer(self) -> tuple[str | None, list[str]]:
        found = self._document(CHAMPION)
        if found is None:
            return None, []
        earlier = found.get("earlier", [])
        if not isinstance(earlier, list):
            raise RegistryError(f"{self.folder / CHAMPION} is not a champion pointer: set the champion again")
        return _checked_name(found.get("version")), [_checked_name(name) for name in earlier]

    def _document(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RegistryError(f"{path} cannot be read: train or set the champion again") from error
        if not isinstance(found, dict):
            raise RegistryError(f"{path} cannot be read: train or set the champion again")
        return found

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        """At once: a reader sees the old document or the new one."""
        path = self.folder / name
        handle, draft = tempfile.mkstemp(prefix=".draft.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(_json(content))
        Path(draft).chmod(0o644)
        Path(draft).replace(path)

    def _read(self, version: str) -> dict[str, bytes]:
        folder = self.folder / _checked_name(version)
        needed = {*(f"{head}.skops" for head in HEADS), CARD}
        files = {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}
        if not needed <= files.keys():
            known = ", ".join(self.versions()) or "none"
            raise RegistryError(f"no complete version {version} in {self.folder}; known: {known}")
        if _version(files) != version:
            raise RegistryError(f"version {version} was changed after it was saved: delete {folder} and train again")
        return files


def load_model(content: bytes, name: str) -> Pipeline:
    """A pipeline from the bytes of a skops file, after every type in it has been checked against the allow-list.

    Raises:
        RegistryError: for a type outside the allow-list, or anything else than a pipeline.
    """
    model = skops.io.loads(content, trusted=_trusted_types(content, name))
    if not isinstance(model, Pipeline):
        raise RegistryError(f"{name}: holds a {type(model).__name__}, not a Pipeline")
    _check_trees(model, name)
    return model


def _check_trees(model: Pipeline, name: str) -> None:
    """Compiled code walks the trees without looking: a forged index would read foreign memory, a cycle never end."""
    boosting = model.steps[-1][1]
    for predictor in (tree for trees in getattr(boosting, "_predictors", []) for tree in trees):
        nodes = predictor.nodes
        inner = nodes[nodes["is_leaf"] == 0]
        own = np.flatnonzero(nodes["is_leaf"] == 0)
        children = np.stack([inner["left"], inner["right"]]).astype(np.int64)
        is_sound = (children > own).all() and (children < len(nodes)).all()
        if not len(nodes) or not is_sound or (inner["feature_idx"] >= boosting.n_features_in_).any():
            raise RegistryError(f"{name}: refused, since a tree points outside itself")


def _trusted_types(content: bytes, name: str) -> list[str]:
    try:
        found = set(skops.io.get_untrusted_types(data=content))
    except Exception as error:  # foreign bytes fail in many ways inside skops; none of them may get further
        raise RegistryError(f"{name}: not a readable skops file ({error})") from error
    foreign = sorted(found - ALLOWED_TYPES)
    if foreign:
        raise RegistryError(f"{name}: refused, since it holds {', '.join(foreign)}")
    return sorted(found)


def _canonical(content: bytes) -> bytes:
    """The same skops file without memory addresses and times, so that equal models have equal bytes.

    skops names array files by ``id()`` and marks nodes with it, and a zip member carries its time of writing. Arrays
    are renamed by their content; the marks (``__id__``, which only spare loading a shared object twice) are dropped.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    schema = json.loads(members.pop("schema.json"))
    renamed = {name: f"{hashlib.sha256(data).hexdigest()[:32]}{Path(name).suffix}" for name, data in members.items()}
    arrays = {renamed[name]: data for name, data in members.items()}
    arrays["schema.json"] = json.dumps(_without_addresses(schema, renamed), sort_keys=False).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression=zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), arrays[name])
    return target.getvalue()


def _without_addresses(node: Any, renamed: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_without_addresses(child, renamed) for child in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _without_addresses(child, renamed) for key, child in node.items() if key != "__id__"}
    if isinstance(kept.get("file"), str) and "__loader__" in kept:
        kept["file"] = renamed[kept["file"]]
    return kept


def _card(result: TrainingResult, data_versions: Mapping[str, Any], code_revision: str) -> dict[str, Any]:
    measured = result.as_dict()
    config = measured.pop("config")
    return {
        "model": NAME,
        "features": {
            "numeric": config["numeric"],
            "categorical": config["categorical"],
            "sha256": measured.pop("feature_hash"),
            "schema": measured.pop("schema"),
        },
        "metrics": measured,
        "training": config,
        "data_versions": data_versions,
        "code_revision": code_revision,
        "libraries": {"python": platform.python_version()} | {name: library_version(name) for name in LIBRARIES},
    }


def _json(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False, default=_plain)
    return (text + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a model card holds text, numbers, lists and mappings, not {type(value).__name__}")


def _version(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(files):
        # name and length first: bytes cannot move from one file to the next unnoticed
        digest.update(f"{name} {len(files[name])}\n".encode())
        digest.update(files[name])
    return digest.hexdigest()[:12]


def _checked_name(version: Any) -> str:
    """Guards the path: a version comes from files and command lines."""
    if not isinstance(version, str) or not VERSION_PATTERN.fullmatch(version):
        raise RegistryError(f"{version!r} is not a version name (12 hexadecimal digits)")
    return version
