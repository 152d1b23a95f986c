"""The abandonment model: trained on certified days, promoted if its check allows, and the scores that follow.

Belongs here: orchestration of ``models/abandonment``. Does not belong here: any judgement.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import dagster as dg

from voiceai_assets.assets.certified import GATE_SAID_NO, certified_key
from voiceai_assets.assets.common import OWNERS, PipelineResource, records_table
from voiceai_assets.versions import code_revision

if TYPE_CHECKING:
    from voiceai_assets.models.abandonment.watch import WatchedDay

MODEL = dg.AssetKey(["models", "abandonment_model"])
CHAMPION = dg.AssetKey(["models", "abandonment_champion"])
SCORES = dg.AssetKey(["certified", "abandonment_scores"])
PROMOTION = dg.AssetCheckSpec(
    "promotion_criteria_hold",
    asset=MODEL,
    blocking=True,
    description=(
        "Both heads: made again from the turns until then, knows nothing of later ones, beats the rate by turn, is "
        "calibrated, and no segment loses .02 of AUC."
    ),
)
DRIFT = dg.AssetCheckSpec(
    "features_have_not_drifted",
    asset=MODEL,
    description="Population stability index of the latest days against what the champion learned from: warns from .10.",
)
CALIBRATION = dg.AssetCheckSpec(
    "champion_is_still_calibrated",
    asset=MODEL,
    description="The champion's probabilities on the latest days whose outcomes are known.",
)

DAYS_ARE_USUAL = dg.AssetCheckSpec(
    "callers_of_scored_days_are_usual",
    asset=SCORES,
    description="Each day scored: population stability index against what the champion learned from (warns from .10).",
)
DAYS_ARE_CALIBRATED = dg.AssetCheckSpec(
    "scored_days_came_true",
    asset=SCORES,
    description=(
        "Each day scored: as many gave up as the champion said, of sessions that have had time to end. An error, and "
        "no warning, where the callers of that day have changed by .20 as well: train again."
    ),
)
MATURITY_HOURS = 2.0
AUDITED_SESSIONS = 300  # made again from their turns before each verdict: a second, whatever the number of days


class TrainModel(dg.Config):
    """What a training run may vary.

    Attributes:
        last_days: the window: train and test on so many certified days; all of them by default.
        test_share: share of the days, the latest ones, that the model is judged on.
        gap_days: days left out between training and test.
        maturity_hours: sessions that started later than so long before the end of what was observed are not read.
        resamples: draws of users for the intervals.
        tune: choose the strength of the penalty and the size of the trees by folds over users.
        seed: of the resampling.
    """

    last_days: int | None = None
    test_share: float = 0.25
    gap_days: int = 0
    maturity_hours: float = MATURITY_HOURS
    resamples: int = 200
    tune: bool = True
    seed: int = 20260801


def abandonment_model_asset() -> dg.AssetsDefinition:
    """The asset that trains and judges; its blocking check decides what may become champion."""

    @dg.asset(
        key=MODEL,
        deps=[certified_key(mart) for mart in ("fact_voice_ai_sessions", "feature_session_prefix")],
        check_specs=[PROMOTION, DRIFT, CALIBRATION],
        group_name="models",
        kinds={"scikitlearn", "python"},
        owners=OWNERS,
        description=(
            "Grain: one immutable version. Logistic regression against gradient boosting on session prefixes: after "
            "each user turn, the chance that the caller gives up before the next one (hazard) and that the session "
            "ends abandoned (landmark). Features know nothing of later turns; the latest days are the test; intervals "
            "resample users. The card of a version says in words what was found."
        ),
    )
    def abandonment_model(
        context: dg.AssetExecutionContext, config: TrainModel, pipeline: dg.ResourceParam[PipelineResource]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster only knows it bare where there are checks
        # scikit-learn and matplotlib take two seconds to import: only where they are needed
        from voiceai_assets.models.abandonment import card, plots
        from voiceai_assets.models.abandonment.audit import leaks
        from voiceai_assets.models.abandonment.certified import read_certified_days
        from voiceai_assets.models.abandonment.contest import compete
        from voiceai_assets.models.abandonment.features import mature
        from voiceai_assets.models.abandonment.registry import Registry
        from voiceai_assets.models.abandonment.training import NotEnoughData, TrainingConfig

        settings, registry = pipeline.settings, Registry(pipeline.settings.models)
        champion = registry.champion()
        try:
            days = read_certified_days(
                pipeline.pipeline.warehouse.reader,
                config.last_days,
                timeout_minutes=pipeline.pipeline.longest_timeout_minutes,
                audited=AUDITED_SESSIONS,
            )
            assert days.audit is not None
            found = leaks(days.table, *days.audit, pipeline.pipeline.longest_timeout_minutes)
            table = mature(days.table, days.observed_until, config.maturity_hours)
            training = TrainingConfig(
                test_share=config.test_share,
                gap_days=config.gap_days,
                resamples=config.resamples,
                tune=config.tune,
                seed=config.seed,
            )
            contest = compete(table, training, None if champion is None else registry.load(champion), found)
        except (LookupError, NotEnoughData) as reason:
            raise dg.Failure(f"no model: {reason}", allow_retries=False) from reason
        pictures = plots.pictures(contest.result, contest.evidence)
        attachments = {"card.md": card.card_markdown(contest, list(pictures)).encode(), **pictures}
        revision, extra = code_revision(settings), contest.as_dict()
        for result in contest.results.values():
            if result is not contest.result:
                registry.save(result, days.versions, revision)
        version = registry.save(contest.result, days.versions, revision, extra, attachments)
        registry.record_verdict(version, asdict(contest.decision))
        context.log.info(contest.decision.because)
        measures = records_table(_metric_rows(contest.result), ["head", "measure", "estimate", "95 % from", "to"])
        return dg.MaterializeResult(
            metadata={
                "version": version,
                "file": dg.MetadataValue.path(str(registry.folder / version)),
                **card.plain_summary(contest),
                "certified days": len(days.versions),
                "train days": f"{contest.result.train_days[0]} to {contest.result.train_days[-1]}",
                "test days": f"{contest.result.test_days[0]} to {contest.result.test_days[-1]}",
                "leakage alarm": contest.result.leakage_alarm,
                "card": dg.MetadataValue.md(attachments["card.md"].decode().split("## Pictures")[0]),
                **{name.removesuffix(".png").replace("_", " "): _picture(png) for name, png in pictures.items()},
                "metrics": measures,
            },
            check_results=check_results(contest),
            data_version=dg.DataVersion(version),
        )

    return abandonment_model


def champion_asset() -> dg.AssetsDefinition:
    """The pointer. It asks the recorded verdict, because a check blocks only within one run."""

    @dg.asset(
        key=CHAMPION,
        deps=[MODEL],
        group_name="models",
        kinds={"python"},
        owners=OWNERS,
        description=(
            "Grain: one pointer, to the version that scores. Moves only to a candidate whose criteria held and that is "
            "better than the champion beyond chance. `voiceai models rollback` moves it back."
        ),
    )
    def abandonment_champion(pipeline: dg.ResourceParam[PipelineResource]) -> dg.MaterializeResult[None]:
        from voiceai_assets.models.abandonment.registry import Registry

        registry = Registry(pipeline.settings.models)
        candidate = registry.candidate()
        if candidate is None:
            raise dg.Failure("no version was judged yet: train first", allow_retries=False)
        verdict = registry.verdict(candidate) or {}
        if verdict.get("action") == "promote":
            registry.set_champion(candidate)
        elif verdict.get("action") != "keep":
            why = verdict.get("because", "its verdict is missing")
            raise dg.Failure(f"version {candidate} is {GATE_SAID_NO}: {why}", allow_retries=False)
        champion = registry.champion()
        return dg.MaterializeResult(
            metadata={"champion": str(champion), "candidate": candidate, "because": verdict["because"]},
            data_version=dg.DataVersion(str(champion)),
        )

    return abandonment_champion


def scores_asset() -> dg.AssetsDefinition:
    """Published turns scored by the champion."""

    @dg.asset(
        key=SCORES,
        deps=[CHAMPION, certified_key("feature_session_prefix")],
        check_specs=[DAYS_ARE_USUAL, DAYS_ARE_CALIBRATED],
        group_name="models",
        kinds={"postgres", "view"},
        owners=OWNERS,
        description=(
            "Grain: one row per user turn (session_date, session_id, k), scored by the champion. A view: a score is "
            "seen only beside the published rows it was computed from, and a day's scores only if each turn has one."
        ),
    )
    def abandonment_scores(
        pipeline: dg.ResourceParam[PipelineResource],
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster only knows it bare where there are checks
        from voiceai_assets.models.abandonment.certified import read_certified_days
        from voiceai_assets.models.abandonment.registry import Registry
        from voiceai_assets.models.abandonment.watch import watch
        from voiceai_assets.warehouse.scores import publish_scores, unscored_days

        registry, warehouse = Registry(pipeline.settings.models), pipeline.pipeline.warehouse
        champion = registry.champion()
        if champion is None:
            raise dg.Failure("no version is the champion, so nothing can be scored", allow_retries=False)
        with warehouse.connect() as connection:
            todo = unscored_days(connection, champion)
            seen, watched = 0, []
            if todo:
                timeout = pipeline.pipeline.longest_timeout_minutes
                days = read_certified_days(warehouse.reader, timeout_minutes=timeout)
                table = days.table.assign(session_date=days.table["session_date"].astype(str))
                table = table[table["session_date"].isin(todo)].reset_index(drop=True)
                model = registry.load(champion)
                scores = model.predict(table)
                reference = model.card["extra"].get("drift_reference", {})
                watched = watch(table, scores, reference, days.observed_until, MATURITY_HOURS)
                scored = table[["session_date", "session_id", "k"]].join(scores)
                certificates = {day: days.versions[day]["certificate"] for day in todo if day in days.versions}
                seen = publish_scores(connection, champion, scored, certificates)
        return dg.MaterializeResult(
            metadata={"model version": champion, "days scored": len(todo), "turns visible": seen},
            check_results=_days_watched(watched),
            data_version=dg.DataVersion(champion),
        )

    return abandonment_scores


def _picture(png: bytes) -> dg.MetadataValue:
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(png).decode()})")


def check_results(contest: Any) -> list[dg.AssetCheckResult]:
    """The verdict as the blocking check, and what is watched beside it."""
    from voiceai_assets.models.abandonment import drift, promotion

    decision, state = contest.decision, drift.state(contest.drift)
    criteria = [asdict(criterion) for criterion in decision.criteria]
    calibrated = {head: promotion.is_in_range(found.slope, found.ece) for head, found in contest.champion.items()}
    worst = sorted(contest.drift.items(), key=lambda item: -item[1])
    return [
        dg.AssetCheckResult(
            check_name=PROMOTION.name,
            passed=decision.action != "refuse",
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{decision.action}: {decision.because}",
            metadata={"criteria": records_table(criteria, ["name", "holds", "found"])},
        ),
        dg.AssetCheckResult(
            check_name=DRIFT.name,
            passed=state in ("stable", "too few rows"),
            severity=dg.AssetCheckSeverity.WARN,
            description=state,
            metadata={"psi": records_table([{"feature": n, "psi": round(v, 4)} for n, v in worst], ["feature", "psi"])},
        ),
        dg.AssetCheckResult(
            check_name=CALIBRATION.name,
            passed=all(calibrated.values()),
            severity=dg.AssetCheckSeverity.WARN,
            description="no champion yet" if not calibrated else ", ".join(f"{h}: {c}" for h, c in calibrated.items()),
            metadata={
                f"{head} {name}": _short(asdict(value)["value"]) or 0.0
                for head, found in contest.champion.items()
                for name, value in (("slope", found.slope), ("calibration error", found.ece))
            },
        ),
    ]


def _days_watched(days: Sequence["WatchedDay"]) -> list[dg.AssetCheckResult]:
    """What scoring noticed of each day; scores stay, because they are what the champion says."""
    moved = [day for day in days if day.drift in ("warn", "act")]
    off = [day for day in days if day.is_off]
    columns = list({name: None for day in days for name in day.as_row()})
    table = {"days": records_table([day.as_row() for day in days], columns)} if days else {}
    is_urgent = any(day.needs_action for day in days)
    return [
        dg.AssetCheckResult(
            check_name=DAYS_ARE_USUAL.name,
            passed=not moved,
            severity=dg.AssetCheckSeverity.WARN,
            description=", ".join(f"{d.day}: {d.worst_feature} {d.psi}" for d in moved) or f"{len(days)} days, none",
            metadata=table,
        ),
        dg.AssetCheckResult(
            check_name=DAYS_ARE_CALIBRATED.name,
            passed=not off,
            severity=dg.AssetCheckSeverity.ERROR if is_urgent else dg.AssetCheckSeverity.WARN,
            description=", ".join(day.day for day in off) or f"{len(days)} days, none",
            metadata=table,
        ),
    ]


def _metric_rows(result: Any) -> list[dict[str, Any]]:
    """One row per head and measure, with its interval where there is one."""
    rows = []
    for head, found in result.as_dict()["heads"].items():
        left_out = {"bins", "baselines", "auc_by_turn", "slices", "chosen"}
        measures = {key: value for key, value in found.items() if key not in left_out}
        measures |= {f"auc at turn {turn}": value for turn, value in found["auc_by_turn"].items()}
        for baseline, compared in found["baselines"].items():
            measures |= {f"{key} against {baseline}": value for key, value in compared.items()}
        rows += [{"head": head, "measure": measure, **_with_interval(value)} for measure, value in measures.items()]
    return rows


def _with_interval(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        estimate, low, high = (_short(value.get(key)) for key in ("value", "low", "high"))
        return {"estimate": estimate, "95 % from": low, "to": high}
    return {"estimate": _short(value)}


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
