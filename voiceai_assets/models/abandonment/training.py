"""Fit both heads on the earlier days, judge them on the later ones.

Belongs here: the split by time, the two kinds of model and their tuning, the baselines, and refusing too little data.
Does not belong here: features, measures (``evaluation``), evidence, files (``registry``).

Two kinds: logistic regression, which can be read, and gradient boosting, which may find what is not a straight line.
No class weights: they leave AUC as it is and ruin calibration (error .002 -> .278).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from voiceai_assets.models.abandonment.encoding import UNKNOWN, Schema
from voiceai_assets.models.abandonment.evaluation import Evaluation, evaluate
from voiceai_assets.models.abandonment.features import FINAL_OUTCOMES, KEYS, feature_hash
from voiceai_assets.models.abandonment.measures import (
    Estimate,
    Floats,
    Integers,
    UserBootstrap,
    row_losses,
    weighted_auc,
    weighted_mean,
)
from voiceai_assets.models.abandonment.prefix import CATEGORICAL, NUMERIC
from voiceai_assets.models.abandonment.slices import Outcomes

Kind = Literal["logistic", "boosting"]
HEADS: Mapping[str, str] = {"hazard": "label_hazard", "landmark": "label_landmark"}
MINIMUM_DAYS = 2
FOLDS = 5  # with three, which users fell together decided: another choice in 2 of 12 partitions of real calls
SEGMENTS = ("user_type", "region", "language", "channel")
#: What tuning chooses from; the middle one where it is off.
CHOICES: Mapping[str, tuple[Mapping[str, float], ...]] = {
    "logistic": ({"C": 0.01}, {"C": 1.0}, {"C": 0.1}),
    "boosting": (
        {"max_leaf_nodes": 4, "max_iter": 150},
        {"max_leaf_nodes": 8, "max_iter": 100},
        {"max_leaf_nodes": 16, "max_iter": 60},
    ),
}
_UNTUNED = 1


class NotEnoughData(ValueError):  # noqa: N818 - reads as the finding it is, like StopIteration
    """There is too little to fit or to judge a model; the message says what is missing."""


@dataclass(frozen=True)
class TrainingConfig:
    """What a training run may vary; part of the model card.

    ``test_share`` is a share of days, not of rows. ``gap_days`` between training and test are left out, so that every
    label learned from was known when the test began. ``minimum_users`` holds in the training and in the test days.
    Above ``alarm_auc`` at turn 1, either head is taken to have seen the outcome.
    """

    kind: Kind = "logistic"
    test_share: float = 0.25
    gap_days: int = 0
    resamples: int = 200
    seed: int = 20260801
    bins: int = 10
    tune: bool = False
    minimum_users: int = 30
    alarm_auc: float = 0.90
    numeric: tuple[str, ...] = NUMERIC
    categorical: tuple[str, ...] = CATEGORICAL

    def __post_init__(self) -> None:
        """Refuse what would silently train on nothing or test on nothing."""
        if not 0 < self.test_share < 1:
            raise ValueError(f"test_share is a share of the days between 0 and 1, not {self.test_share}")
        if self.resamples < 1 or self.bins < 1:
            raise ValueError("resamples and bins must be positive")
        if self.gap_days < 0:
            raise ValueError("gap_days: a number of days, 0 or more")
        if self.kind not in CHOICES:
            raise ValueError(f"kind is one of {', '.join(CHOICES)}, not {self.kind!r}")
        if not self.numeric:
            raise ValueError("numeric: at least one feature")


@dataclass(frozen=True)
class Baseline:
    """A simpler prediction on the same test rows. ``gain``: its log loss minus the model's; above 0 the model wins."""

    auc: Estimate
    log_loss: Estimate
    gain: Estimate


@dataclass(frozen=True)
class HeadResult:
    """One head: the fitted pipeline, what tuning chose, its measures on the test days, and the baselines.

    ``predicted`` are its probabilities on the test rows, for comparisons; they are no part of the card.
    """

    pipeline: Pipeline = field(repr=False)
    evaluation: Evaluation
    baselines: Mapping[str, Baseline]
    chosen: Mapping[str, float] = field(default_factory=dict)
    predicted: Floats = field(default_factory=lambda: np.empty(0), repr=False)


@dataclass(frozen=True)
class Parts:
    """The rows that a model learned from and those it was judged on, as they lie in both matrices."""

    earlier: pd.DataFrame
    later: pd.DataFrame
    outcomes: Mapping[str, Outcomes]


@dataclass(frozen=True)
class TrainingResult:
    """Both heads, where the split lay, and whether something knows too much."""

    config: TrainingConfig
    schema: Schema
    train_days: tuple[str, ...]
    test_days: tuple[str, ...]
    train_rows: int
    train_users: int
    heads: Mapping[str, HeadResult]
    leakage_alarm: bool
    parts: Parts = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Everything but pipelines and rows, ready for ``json.dumps(..., allow_nan=False)``."""
        return {
            "config": asdict(self.config),
            "schema": self.schema.as_dict(),
            "feature_hash": feature_hash(self.config.numeric, self.config.categorical),
            "train_days": list(self.train_days),
            "test_days": list(self.test_days),
            "train_rows": self.train_rows,
            "train_users": self.train_users,
            "leakage_alarm": self.leakage_alarm,
            "heads": {
                name: {
                    **asdict(head.evaluation),
                    "baselines": {key: asdict(baseline) for key, baseline in head.baselines.items()},
                    "chosen": dict(head.chosen),
                }
                for name, head in self.heads.items()
            },
        }


def train(table: pd.DataFrame, config: TrainingConfig | None = None) -> TrainingResult:
    """Fit on the first days, judge on the last ``test_share`` of them (at least one).

    The order of rows does not matter, and one thread is used: the same rows give the same model, bit for bit, on
    machines with different numbers of cores.

    Args:
        table: from ``features.prefix_table`` or ``certified``; rows of sessions that have not ended are left out, and
            further columns may be named in the config.
        config: defaults to ``TrainingConfig()``.

    Raises:
        NotEnoughData: fewer than two days, too few known users, or an outcome that never (or always) happens.
        ValueError: for missing columns.
    """
    config = config or TrainingConfig()
    earlier, later = _parts(table, config)
    outcomes = {name: _outcomes(later, label, set(earlier["user_id"].dropna())) for name, label in HEADS.items()}
    schema = Schema.of(earlier, config.numeric, config.categorical)
    parts = Parts(earlier, later, outcomes)
    with threadpool_limits(limits=1):
        heads = {name: _fit_head(parts, schema, name, config) for name in HEADS}
    at_turn_1 = [head.evaluation.auc_by_turn["1"].value for head in heads.values()]
    return TrainingResult(
        config=config,
        schema=schema,
        train_days=tuple(earlier["session_date"].unique()),
        test_days=tuple(later["session_date"].unique()),
        train_rows=len(earlier),
        train_users=int(earlier["user_id"].nunique()),
        heads=heads,
        leakage_alarm=any(auc is not None and auc > config.alarm_auc for auc in at_turn_1),
        parts=parts,
    )


def probabilities(pipeline: Pipeline, matrix: Floats) -> Floats:
    """Probability of the event for each row of ``Schema.matrix``, shape (rows,)."""
    scored: Floats = pipeline.predict_proba(matrix)[:, 1]
    return scored


def gain_over(outcomes: Outcomes, other: Floats, ours: Floats, config: TrainingConfig) -> Estimate:
    """Mean log loss of ``other`` minus that of ``ours`` on the same rows, with a user-bootstrap interval."""
    bootstrap = UserBootstrap(outcomes.units, config.resamples, config.seed)
    return bootstrap.estimate(weighted_mean(row_losses(outcomes.events, other) - row_losses(outcomes.events, ours)))


def _parts(table: pd.DataFrame, config: TrainingConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from and rows to judge by, each in the order of their keys."""
    needed = (*KEYS, "user_id", *config.numeric, *config.categorical, *HEADS.values())
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise ValueError(f"table: columns missing: {', '.join(missing)}")
    if "final_outcome" in table:
        table = table[table["final_outcome"].isin(FINAL_OUTCOMES)]
    table = table.assign(session_date=pd.to_datetime(table["session_date"]).dt.strftime("%Y-%m-%d"))
    table = table.sort_values(list(KEYS), ignore_index=True)
    train_days, test_days = _split(table, config)
    parts = []
    for name, days in (("training", train_days), ("test", test_days)):
        part = table[table["session_date"].isin(days)].reset_index(drop=True)
        _refuse_too_little(part, f"{name} days {days[0]} to {days[-1]}", config)
        parts.append(part)
    return parts[0], parts[1]


def _split(table: pd.DataFrame, config: TrainingConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    days = tuple(sorted(table["session_date"].unique()))
    if len(days) < MINIMUM_DAYS:
        raise NotEnoughData(
            f"{len(days)} day(s) with ended sessions; at least {MINIMUM_DAYS} are needed, to train on one and test on "
            "a later one"
        )
    tested = min(max(1, round(len(days) * config.test_share)), len(days) - 1)
    test_days = days[-tested:]
    last = (date.fromisoformat(test_days[0]) - timedelta(days=config.gap_days + 1)).isoformat()
    train_days = tuple(day for day in days[:-tested] if day <= last)
    if not train_days:
        raise NotEnoughData(f"no day is left to train on before a gap of {config.gap_days} day(s)")
    return train_days, test_days


def _refuse_too_little(part: pd.DataFrame, name: str, config: TrainingConfig) -> None:
    users = part["user_id"].nunique()
    if users < config.minimum_users:
        raise NotEnoughData(f"{users} known user(s) in the {name}; at least {config.minimum_users} are needed")
    for head, label in HEADS.items():
        events = int(part[label].sum())
        if events in (0, len(part)):
            ends = "no session ends abandoned" if events == 0 else "every row is an abandonment"
            raise NotEnoughData(f"{head}: {ends} in the {name}; both outcomes are needed")


def _fit_head(parts: Parts, schema: Schema, name: str, config: TrainingConfig) -> HeadResult:
    label, outcomes = HEADS[name], parts.outcomes[name]
    matrix, events = schema.matrix(parts.earlier), parts.earlier[label].to_numpy(dtype=np.int64)
    chosen = CHOICES[config.kind][_UNTUNED]
    if config.tune:
        chosen = _tuned(matrix, events, units_of(parts.earlier), config)
    pipeline = _pipeline(config.kind, chosen, config.seed).fit(_fittable(matrix), events)
    predicted = probabilities(pipeline, schema.matrix(parts.later))
    bootstrap = UserBootstrap(outcomes.units, config.resamples, config.seed)

    def compare(other: Floats) -> Baseline:
        return Baseline(
            auc=bootstrap.estimate(weighted_auc(outcomes.events, other)),
            log_loss=bootstrap.estimate(weighted_mean(row_losses(outcomes.events, other))),
            gain=gain_over(outcomes, other, predicted, config),
        )

    now = Schema(("asr_now", "k"), {})
    simple = _pipeline("logistic", {"C": 1.0}, config.seed).fit(_fittable(now.matrix(parts.earlier)), events)
    return HeadResult(
        pipeline=pipeline,
        evaluation=evaluate(outcomes, predicted, bootstrap, config.bins),
        baselines={
            "rate_by_turn": compare(_rate_by_turn(parts.earlier, parts.later, label)),
            "asr_now_and_turn": compare(probabilities(simple, now.matrix(parts.later))),
        },
        chosen=chosen,
        predicted=predicted,
    )


def _tuned(matrix: Floats, events: Integers, units: Integers, config: TrainingConfig) -> Mapping[str, float]:
    """The choice of least log loss over folds that never part a user's rows."""
    losses = []
    for choice in CHOICES[config.kind]:
        loss = 0.0
        for fitted, held_out in GroupKFold(FOLDS).split(matrix, events, units):
            if events[fitted].min() == events[fitted].max():
                raise NotEnoughData(f"tuning: one of {FOLDS} parts of the users holds all sessions of one outcome")
            pipeline = _pipeline(config.kind, choice, config.seed).fit(_fittable(matrix[fitted]), events[fitted])
            loss += float(row_losses(events[held_out], probabilities(pipeline, matrix[held_out])).sum())
        losses.append(loss)
    return CHOICES[config.kind][int(np.argmin(losses))]


def _fittable(matrix: Floats) -> Floats:
    """Columns of which nothing is known as zeros: boosting cannot make bins of them, and never splits a constant."""
    return np.where(np.isnan(matrix).all(axis=0), 0.0, matrix)


def _pipeline(kind: Kind, chosen: Mapping[str, float], seed: int) -> Pipeline:
    if kind == "boosting":
        return Pipeline(
            [
                (
                    "model",
                    HistGradientBoostingClassifier(
                        learning_rate=0.06,
                        max_iter=int(chosen["max_iter"]),
                        max_leaf_nodes=int(chosen["max_leaf_nodes"]),
                        min_samples_leaf=40,
                        l2_regularization=1.0,
                        early_stopping=False,  # it would part rows, and with them users, at random
                        random_state=seed,
                    ),
                )
            ]
        )
    # keep_empty_features: a source without latency must not change the width of the model
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    model = LogisticRegression(C=chosen["C"], max_iter=2000)
    return Pipeline([("fill", fill), ("scale", StandardScaler()), ("model", model)])


def _rate_by_turn(earlier: pd.DataFrame, later: pd.DataFrame, label: str) -> Floats:
    """Share of events at the same k in training, drawn towards the overall share by one row's weight.

    Without that row a turn that never saw the event would be predicted 0 and have infinite loss.
    """
    overall = float(earlier[label].mean())
    by_turn = earlier.groupby("k")[label].agg(["sum", "count"])
    rate = (by_turn["sum"] + overall) / (by_turn["count"] + 1)
    return later["k"].map(rate).fillna(overall).to_numpy(dtype=np.float64)


def text_of(column: pd.Series) -> npt.NDArray[np.object_]:
    """The values of a category as text, the unknown ones among them."""
    return column.astype(object).where(column.notna(), UNKNOWN).astype(str).to_numpy(dtype=object)


def units_of(table: pd.DataFrame) -> Integers:
    """Codes from 0 of what a bootstrap resamples: users, and sessions whose user is unknown.

    In the order of their first sessions and not of their pseudonyms: the resamples and the folds of tuning, and with
    them what is decided, would hang on the key.
    """
    # an unknown caller's session stands for itself; the prefixes keep both kinds of name apart
    session = "session " + table["session_date"].astype(str) + " " + table["session_id"].astype(str)
    unit = ("user " + table["user_id"].astype(object)).where(table["user_id"].notna(), session)
    codes, sessions = (pd.factorize(names, sort=True)[0] for names in (unit, session))
    first = pd.Series(sessions).groupby(codes).min().to_numpy()
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[codes]


def _outcomes(table: pd.DataFrame, label: str, known_users: set[str]) -> Outcomes:
    session = table["session_date"].astype(str) + " " + table["session_id"].astype(str)
    segments = {name: text_of(table[name]) for name in SEGMENTS if name in table}
    seen = np.where(table["user_id"].isna(), UNKNOWN, np.where(table["user_id"].isin(known_users), "seen", "new"))
    return Outcomes(
        events=table[label].to_numpy(dtype=np.int64),
        turn=table["k"].to_numpy(dtype=np.int64),
        sessions=pd.factorize(session)[0].astype(np.int64),
        units=units_of(table),
        users=int(table["user_id"].nunique()),
        segments={**segments, "caller": seen.astype(object)},
    )
