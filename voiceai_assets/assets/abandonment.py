"""The abandonment model: ``models/abandonment_model``, trained on certified days only, read as ``bi_reader``."""

import base64
from typing import Any

import dagster as dg

from voiceai_assets.assets.certified import certified_key
from voiceai_assets.assets.common import OWNERS, PipelineResource, records_table
from voiceai_assets.versions import code_revision

MODEL = dg.AssetKey(["models", "abandonment_model"])


class TrainModel(dg.Config):
    """What a training run may vary.

    Attributes:
        last_days: train and test on so many certified days; all of them by default.
        test_share: share of the days, the latest ones, that the model is judged on.
        resamples: draws of users for the intervals.
        seed: of the resampling.
    """

    last_days: int | None = None
    test_share: float = 0.25
    resamples: int = 200
    seed: int = 20260801


def abandonment_model_asset() -> dg.AssetsDefinition:
    """The asset that trains."""

    @dg.asset(
        key=MODEL,
        deps=[certified_key(mart) for mart in ("fact_voice_ai_sessions", "fact_voice_ai_turns")],
        group_name="models",
        kinds={"scikitlearn", "python"},
        owners=OWNERS,
        description=(
            "Grain: one immutable version. Logistic regression on session prefixes: after each user turn, the chance "
            "that the caller gives up before the next one (hazard) and that the session ends abandoned (landmark). "
            "Features know nothing of later turns; the last quarter of the days is the test; intervals resample users."
        ),
    )
    def abandonment_model(
        context: dg.AssetExecutionContext, config: TrainModel, pipeline: dg.ResourceParam[PipelineResource]
    ) -> dg.MaterializeResult[None]:
        # scikit-learn and matplotlib take two seconds to import: only where they are needed
        from voiceai_assets.models.abandonment.certified import read_certified_days
        from voiceai_assets.models.abandonment.features import prefix_table
        from voiceai_assets.models.abandonment.plots import calibration_png
        from voiceai_assets.models.abandonment.registry import Registry
        from voiceai_assets.models.abandonment.training import NotEnoughData, TrainingConfig, train

        settings = pipeline.settings
        try:
            days = read_certified_days(pipeline.pipeline.warehouse.reader, config.last_days)
            table = prefix_table(days.turns, days.sessions, timeout_minutes=settings.session_timeout_minutes)
            training = TrainingConfig(test_share=config.test_share, resamples=config.resamples, seed=config.seed)
            result = train(table, training)
        except (LookupError, NotEnoughData) as reason:
            raise dg.Failure(f"no model: {reason}", allow_retries=False) from reason
        registry = Registry(settings.models)
        version = registry.save(result, days.certificates, code_revision(pipeline.settings))
        registry.set_champion(version)
        if result.leakage_alarm:
            context.log.warning("AUC at turn 1 is above .90: some feature may know the outcome")
        plot = base64.b64encode(calibration_png(result)).decode()
        return dg.MaterializeResult(
            metadata={
                "version": version,
                "file": dg.MetadataValue.path(str(registry.folder / version)),
                "certified days": len(days.certificates),
                "train days": f"{result.train_days[0]} to {result.train_days[-1]}",
                "test days": f"{result.test_days[0]} to {result.test_days[-1]}",
                "leakage alarm": result.leakage_alarm,
                "metrics": records_table(_metric_rows(result), ["head", "measure", "estimate", "95 % from", "to"]),
                "calibration": dg.MetadataValue.md(f"![reliability by head](data:image/png;base64,{plot})"),
            },
            data_version=dg.DataVersion(version),
        )

    return abandonment_model


def _metric_rows(result: Any) -> list[dict[str, Any]]:
    """One row per head and measure, with its interval where there is one."""
    rows = []
    for head, found in result.as_dict()["heads"].items():
        measures = {key: value for key, value in found.items() if key not in {"bins", "baselines", "auc_by_turn"}}
        measures |= {f"auc at turn {turn}": value for turn, value in found["auc_by_turn"].items()}
        for baseline, compared in found["baselines"].items():
            measures |= {f"{key} against {baseline}": value for key, value in compared.items()}
        rows += [{"head": head, "measure": measure, **_with_interval(value)} for measure, value in measures.items()]
    return rows


def _with_interval(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        estimate, low, high = (_short(value.get(key)) for key in ("value", "low", "high"))
        return {"estimate": estimate, "95 % from": low, "to": high}
    return {"estimate": _short(value)}


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
