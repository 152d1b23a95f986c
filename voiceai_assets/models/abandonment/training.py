"""Fit both heads on the earlier days, judge them on the later ones.

Belongs here: the split by time, the pipelines, the baselines, and refusing too little data.
Does not belong here: features, measures (``evaluation``), files (``registry``).

Logistic regression without class weights: weights leave AUC as it is and ruin calibration (error .002 -> .278).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from voiceai_assets.models.abandonment.evaluation import (
    Estimate,
    Evaluation,
    Floats,
    Outcomes,
    UserBootstrap,
    evaluate,
    row_losses,
    weighted_auc,
    weighted_mean,
)
from voiceai_assets.models.abandonment.features import KEYS, feature_hash
from voiceai_assets.models.abandonment.prefix import CATEGORICAL, NUMERIC

HEADS: Mapping[str, str] = {"hazard": "label_hazard", "landmark": "label_landmark"}
MINIMUM_DAYS = 2


class NotEnoughData(ValueError):  # noqa: N818 - reads as the finding it is, like StopIteration
    """There is too little to fit or to judge a model; the message says what is missing."""


@dataclass(frozen=True)
class TrainingConfig:
    """What a training run may vary; part of the model card.

    ``test_share`` is a share of days, not of rows. ``minimum_users`` holds in the training and in the test days. Above
    ``alarm_auc`` at turn 1, either head is taken to have seen the outcome.
    """

    test_share: float = 0.25
    resamples: int = 200
    seed: int = 20260801
    bins: int = 10
    inverse_penalty: float = 1.0
    minimum_users: int = 30
    alarm_auc: float = 0.90
    numeric: tuple[str, ...] = NUMERIC
    categorical: tuple[str, ...] = CATEGORICAL

    def __post_init__(self) -> None:
        """Refuse what would silently train on nothing or test on nothing."""
        if not 0 < self.test_share < 1:
            raise ValueError(f"test_share is a share of the days between 0 and 1, not {self.test_share}")
        if self.resamples < 1 or self.bins < 1 or self.inverse_penalty <= 0:
            raise ValueError("resamples, bins and inverse_penalty must be positive")
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
    """One head: the fitted pipeline, its measures on the test days, and the baselines."""

    pipeline: Pipeline = field(repr=False)
    evaluation: Evaluation
    baselines: Mapping[str, Baseline]


@dataclass(frozen=True)
class TrainingResult:
    """Both heads, where the split lay, and whether something knows too much."""

    config: TrainingConfig
    train_days: tuple[str, ...]
    test_days: tuple[str, ...]
    train_rows: int
    train_users: int
    heads: Mapping[str, HeadResult]
    leakage_alarm: bool

    def as_dict(self) -> dict[str, Any]:
        """Everything but the pipelines, ready for ``json.dumps(..., allow_nan=False)``."""
        return {
            "config": asdict(self.config),
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
                }
                for name, head in self.heads.items()
            },
        }


def train(table: pd.DataFrame, config: TrainingConfig | None = None) -> TrainingResult:
    """Fit on the first days, judge on the last ``test_share`` of them (at least one).

    The order of rows does not matter, and one BLAS thread is used: the same rows give the same coefficients, bit for
    bit, on machines with different numbers of cores.

    Args:
        table: from ``features.prefix_table``; further columns may be named in the config.
        config: defaults to ``TrainingConfig()``.

    Raises:
        NotEnoughData: fewer than two days, too few known users, or an outcome that never (or always) happens.
        ValueError: for missing columns.
    """
    config = config or TrainingConfig()
    needed = (*KEYS, "user_id", *config.numeric, *config.categorical, *HEADS.values())
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise ValueError(f"table: columns missing: {', '.join(missing)}")
    table = table.assign(session_date=pd.to_datetime(table["session_date"]).dt.strftime("%Y-%m-%d"))
    table = table.sort_values(list(KEYS), ignore_index=True)

    train_days, test_days = _split(table, config)
    is_test = table["session_date"].isin(test_days)
    earlier, later = table[~is_test].reset_index(drop=True), table[is_test].reset_index(drop=True)
    _refuse_too_little(earlier, f"training days {train_days[0]} to {train_days[-1]}", config)
    _refuse_too_little(later, f"test days {test_days[0]} to {test_days[-1]}", config)
    with threadpool_limits(limits=1):
        heads = {name: _fit_head(earlier, later, label, config) for name, label in HEADS.items()}
    at_turn_1 = [head.evaluation.auc_by_turn["1"].value for head in heads.values()]
    return TrainingResult(
        config=config,
        train_days=train_days,
        test_days=test_days,
        train_rows=len(earlier),
        train_users=int(earlier["user_id"].nunique()),
        heads=heads,
        leakage_alarm=any(auc is not None and auc > config.alarm_auc for auc in at_turn_1),
    )


def probabilities(
    pipeline: Pipeline, table: pd.DataFrame, numeric: Sequence[str] = NUMERIC, categorical: Sequence[str] = CATEGORICAL
) -> Floats:
    """Probability of the event for each row of a prefix table, shape (rows,)."""
    scored: Floats = pipeline.predict_proba(_design(table, numeric, categorical))[:, 1]
    return scored


def _split(table: pd.DataFrame, config: TrainingConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    days = tuple(sorted(table["session_date"].unique()))
    if len(days) < MINIMUM_DAYS:
        raise NotEnoughData(
            f"{len(days)} day(s) with ended sessions; at least {MINIMUM_DAYS} are needed, to train on one and test on "
            "a later one"
        )
    tested = min(max(1, round(len(days) * config.test_share)), len(days) - 1)
    return days[:-tested], days[-tested:]


def _refuse_too_little(part: pd.DataFrame, name: str, config: TrainingConfig) -> None:
    users = part["user_id"].nunique()
    if users < config.minimum_users:
        raise NotEnoughData(f"{users} known user(s) in the {name}; at least {config.minimum_users} are needed")
    for head, label in HEADS.items():
        events = int(part[label].sum())
        if events in (0, len(part)):
            ends = "no session ends abandoned" if events == 0 else "every row is an abandonment"
            raise NotEnoughData(f"{head}: {ends} in the {name}; both outcomes are needed")


def _fit_head(earlier: pd.DataFrame, later: pd.DataFrame, label: str, config: TrainingConfig) -> HeadResult:
    pipeline = _fit(earlier, label, config.numeric, config.categorical, config.inverse_penalty)
    predicted = probabilities(pipeline, later, config.numeric, config.categorical)
    outcomes = _outcomes(later, label)
    bootstrap = UserBootstrap(outcomes.units, config.resamples, config.seed)
    losses = row_losses(outcomes.events, predicted)

    def compare(other: Floats) -> Baseline:
        other_losses = row_losses(outcomes.events, other)
        return Baseline(
            auc=bootstrap.estimate(weighted_auc(outcomes.events, other)),
            log_loss=bootstrap.estimate(weighted_mean(other_losses)),
            gain=bootstrap.estimate(weighted_mean(other_losses - losses)),
        )

    now = ("asr_now", "k")
    simple = _fit(earlier, label, now, (), config.inverse_penalty)
    return HeadResult(
        pipeline=pipeline,
        evaluation=evaluate(outcomes, predicted, bootstrap, config.bins),
        baselines={
            "rate_by_turn": compare(_rate_by_turn(earlier, later, label)),
            "asr_now_and_turn": compare(probabilities(simple, later, now, ())),
        },
    )


def _fit(
    table: pd.DataFrame, label: str, numeric: Sequence[str], categorical: Sequence[str], inverse_penalty: float
) -> Pipeline:
    # keep_empty_features: a source without latency must not change the width of the model
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    name = SimpleImputer(strategy="constant", fill_value="missing", keep_empty_features=True)
    columns: list[tuple[str, Pipeline, list[str]]] = [
        ("numeric", Pipeline([("fill", fill), ("scale", StandardScaler())]), list(numeric))
    ]
    if categorical:
        encode = OneHotEncoder(handle_unknown="ignore")
        columns.append(("categorical", Pipeline([("fill", name), ("encode", encode)]), list(categorical)))
    model = LogisticRegression(C=inverse_penalty, max_iter=2000)
    pipeline = Pipeline([("columns", ColumnTransformer(columns)), ("model", model)])
    pipeline.fit(_design(table, numeric, categorical), table[label].to_numpy(dtype=np.int64))
    return pipeline


def _design(table: pd.DataFrame, numeric: Sequence[str], categorical: Sequence[str]) -> pd.DataFrame:
    """Floats and plain objects with NaN for missing: the same types at fitting and at scoring, whatever the source."""
    design = {name: pd.to_numeric(table[name]).astype(float) for name in numeric}
    texts = {name: table[name].astype(object).where(table[name].notna(), np.nan) for name in categorical}
    return pd.DataFrame({**design, **texts})


def _rate_by_turn(earlier: pd.DataFrame, later: pd.DataFrame, label: str) -> Floats:
    """Share of events at the same k in training, drawn towards the overall share by one row's weight.

    Without that row a turn that never saw the event would be predicted 0 and have infinite loss.
    """
    overall = float(earlier[label].mean())
    by_turn = earlier.groupby("k")[label].agg(["sum", "count"])
    rate = (by_turn["sum"] + overall) / (by_turn["count"] + 1)
    return later["k"].map(rate).fillna(overall).to_numpy(dtype=np.float64)


def _outcomes(table: pd.DataFrame, label: str) -> Outcomes:
    session = table["session_date"].astype(str) + " " + table["session_id"].astype(str)
    # an unknown caller's session stands for itself; the prefixes keep both kinds of name apart
    unit = ("user " + table["user_id"].astype(object)).where(table["user_id"].notna(), "session " + session)
    return Outcomes(
        events=table[label].to_numpy(dtype=np.int64),
        turn=table["k"].to_numpy(dtype=np.int64),
        sessions=pd.factorize(session)[0].astype(np.int64),
        units=pd.factorize(unit, sort=True)[0].astype(np.int64),
        users=int(table["user_id"].nunique()),
    )
