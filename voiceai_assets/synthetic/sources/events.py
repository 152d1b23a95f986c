"""What an experiment platform exports: events of conversations, assignments, and the lists of what is tried.

Belongs here: the columns of those files. Does not belong here: who gets which variant (``world``), what is measured and
added up (``measures``).

A conversation has ``conversation_started``, a ``message_sent`` per turn, and at its end ``flow_completed``,
``user_dropped_off`` or ``handed_over``, unless its emitter is silent; then ``suggestion_accepted`` or
``suggestion_rejected`` says whether it was completed, with the number of failed turns as edits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from voiceai_assets.synthetic import people
from voiceai_assets.synthetic.columns import (
    Coded,
    Flag,
    Group,
    Json,
    Number,
    Spelled,
    Table,
    Whole,
    digits,
    glued,
    hexadecimal,
    instants,
    json_objects,
    session_ids,
    user_ids,
)
from voiceai_assets.synthetic.config import MAX_TURNS, MODULES, Experiment, WorldConfig
from voiceai_assets.synthetic.dialogue import ABANDONED, COMPLETED, NO_ERROR
from voiceai_assets.synthetic.files import endings
from voiceai_assets.synthetic.sources.base import Piece, Source, is_last, seconds
from voiceai_assets.synthetic.sources.canonical import STATES
from voiceai_assets.synthetic.sources.measures import Aggregates, is_told, of_endings, of_messages, worth
from voiceai_assets.synthetic.streams import Ints
from voiceai_assets.synthetic.world import Block, World, assigned

ENDINGS = ("user_dropped_off", "flow_completed", "handed_over")  # in the order of the world's outcomes
REASONS = ("user_hung_up", "repeated_errors")
_START, _END, _SUGGESTION = 0, 98, 99  # numbers of events within a session; messages are 1 to MAX_TURNS


def pieces(world: World, block: Block) -> Iterator[Piece]:
    """Events of a block, and assignments of those who are new in it."""
    for table, moment in (_started(world, block), _messages(world, block), _ended(world, block)):
        yield Piece("events", table, moment)
    yield from _assignments(world.config, block)


def lists(world: World) -> Iterator[Piece]:
    """Experiments, variants, releases and policies; and assignments of all who were there when an experiment began."""
    config = world.config
    experiments = config.experiments
    arms = [(experiment, variant) for experiment in experiments for variant in experiment.variants]
    if experiments:
        yield Piece("experiments", {
            "experiment_id": _texts([e.name for e in experiments]),
            "name": _texts([e.name.replace("_", " ") for e in experiments]),
            "status": _texts(["active"] * len(experiments)),
            "unit_type": _texts([e.unit for e in experiments]),
            "primary_metric": _texts(["completion_rate"] * len(experiments)),
            "started_at": _texts([config.day(e.first_day).isoformat() for e in experiments]),
        })  # fmt: skip
        yield Piece("variants", {
            "variant_id": _texts([variant.name for _, variant in arms]),
            "experiment_id": _texts([experiment.name for experiment, _ in arms]),
            "name": _texts([variant.name for _, variant in arms]),
            "is_control": Flag(np.array([variant.is_control for _, variant in arms])),
            "allocation": Number(np.array([variant.allocation for _, variant in arms])),
            "policy_version_id": _texts([f"policy-{experiment.name}-{variant.name}" for experiment, variant in arms]),
        })  # fmt: skip
        yield Piece("policy_versions", {
            "policy_version_id": _texts([f"policy-{experiment.name}-{variant.name}" for experiment, variant in arms]),
            "policy_id": _texts([f"policy-{experiment.name}" for experiment, _ in arms]),
            "model_version": _texts([config.releases[0].version] * len(arms)),
            "status": _texts(["active"] * len(arms)),
            "created_at": _texts([config.first_day.isoformat()] * len(arms)),
        })  # fmt: skip
    yield Piece("deployments", {
        "deployment_id": _texts([f"release-{number + 1}" for number in range(len(config.releases))]),
        "model_version": _texts([release.version for release in config.releases]),
        "component": _texts(["dialogue"] * len(config.releases)),
        "environment": _texts(["production"] * len(config.releases)),
        "released_at": _texts([config.day(release.day).isoformat() for release in config.releases]),
    })  # fmt: skip
    for number, experiment in enumerate(experiments):
        if experiment.unit == "user":
            yield from _known_users(world, number, experiment)


# -- events ------------------------------------------------------------------------------------------------------------


def _started(world: World, block: Block) -> tuple[Table, Ints]:
    s = block.sessions
    every = np.arange(len(s.id))
    return _events(
        world.config, block, every, _START, Coded(("conversation_started",), every * 0), s.start_ms, every * 0
    ), s.start_ms


def _messages(world: World, block: Block) -> tuple[Table, Ints]:
    t, measured = block.turns, of_messages(block)
    metrics: Table = {
        "turn_number": Whole(t.k),
        **{name: Whole(measured[name]) for name in ("latency_ms", "token_count", "constraint_respect")},
        "cost_usd": Number(worth("cost_usd", measured["cost_usd"])),
    }
    kind = Coded(("message_sent",), np.zeros(len(t.k), dtype=np.int8))
    table = _events(world.config, block, t.session, t.k, kind, t.at_ms, np.minimum(t.k - 1, len(STATES) - 1))
    return {**table, "metrics": Json(json_objects(metrics))}, t.at_ms


def _ended(world: World, block: Block) -> tuple[Table, Ints]:
    """Two events for each session whose end is known to the emitter."""
    t, s = block.turns, block.sessions
    said = np.flatnonzero(is_told(block))
    score = of_endings(world.config, block)["satisfaction_score"][said]
    last = np.flatnonzero(is_last(t))[said]
    failures = np.bincount(t.session, t.error != NO_ERROR, len(s.id)).astype(np.int64)
    rows = np.repeat(np.arange(len(said)), 2)
    is_suggestion = np.tile([False, True], len(said))
    chosen, outcome = said[rows], s.outcome[said][rows]
    kinds = (*ENDINGS, "suggestion_rejected", "suggestion_accepted")
    kind = np.where(is_suggestion, len(ENDINGS) + (outcome == COMPLETED), outcome)
    moment = s.end_ms[chosen]
    table = _events(
        world.config, block, chosen, np.where(is_suggestion, _SUGGESTION, _END), Coded(kinds, kind), moment,
        np.minimum(t.k[last][rows] - 1, len(STATES) - 1),
    )  # fmt: skip
    metrics: Table = {
        "total_turns": Whole(s.turn_count[chosen]),
        "total_duration_seconds": Whole(seconds(s.end_ms - s.start_ms)[chosen]),
        "edit_count": Whole(np.where(is_suggestion, failures[chosen], -1)),
    }
    dropped = (outcome == ABANDONED) & ~is_suggestion
    progress = np.where(outcome == COMPLETED, 1.0, s.turn_count[chosen] / (MAX_TURNS + 1))
    payload: Table = {
        "progress": Number(progress),
        "satisfaction_score": Whole(np.where(is_suggestion, -1, score[rows])),
        "drop_off_reason": Coded(REASONS, np.where(dropped, (t.error[last][rows] != NO_ERROR).astype(np.int8), -1)),
    }
    return {**table, "metrics": Json(json_objects(metrics)), "payload": Json(json_objects(payload))}, moment


def _events(
    config: WorldConfig,
    block: Block,
    session: Ints,
    number: NDArray[np.integer] | int,
    kind: Coded,
    moment: Ints,
    state: NDArray[np.integer],
) -> Table:
    s = block.sessions
    of_session: Table = {
        "session_id": Spelled(session_ids(s.id)),
        "flow_id": Coded(tuple(f"{module}_flow" for module in MODULES), s.module),
        "flow_version": Coded((str(block.day.release + 1),), np.zeros(len(s.id), dtype=np.int8)),
    }
    context = json_objects({"session": Group(of_session, session), "current_state": Coded(STATES, state)})
    numbers = np.broadcast_to(np.asarray(number), session.shape)
    return {
        "id": Spelled(glued("e", hexadecimal(s.id[session]), digits(numbers, 2))),
        "event_type": kind,
        "unit_id": Spelled(user_ids(s.user[session])),
        "timestamp": Spelled(instants(block.day.date, moment)),
        "context": Json(context),
        "metrics": Json(pa.nulls(len(session), pa.string())),
        "payload": Json(pa.nulls(len(session), pa.string())),
        "experiments": Json(_experiments_of(config, block).take(pa.array(session))),
    }


def _experiments_of(config: WorldConfig, block: Block) -> pa.Array:
    """By session, the list of experiments and variants; null where there is none."""
    variants = block.sessions.variants
    if not config.experiments:
        return pa.nulls(variants.shape[1], pa.string())
    combinations, which = np.unique(variants, axis=1, return_inverse=True)
    lists_of = [
        [
            {"experiment_id": experiment.name, "variant_id": experiment.variants[chosen].name}
            for experiment, chosen in zip(config.experiments, combination, strict=True)
            if chosen >= 0
        ]
        for combination in combinations.T.tolist()
    ]
    texts = pa.array([json.dumps(found) if found else None for found in lists_of], pa.string())
    return texts.take(pa.array(which.ravel()))


# -- assignments -------------------------------------------------------------------------------------------------------


def _assignments(config: WorldConfig, block: Block) -> Iterator[Piece]:
    """Who is new is assigned on the first session; a session, where sessions are randomised, when it begins."""
    s = block.sessions
    for experiment, row in zip(config.experiments, s.variants, strict=True):
        is_new = np.ones(len(row), dtype=np.bool_) if experiment.unit == "session" else s.is_first
        chosen = np.flatnonzero((row >= 0) & is_new)
        if len(chosen):
            unit = (
                Spelled(session_ids(s.id[chosen]))
                if experiment.unit == "session"
                else Spelled(user_ids(s.user[chosen]))
            )
            times = Spelled(instants(block.day.date, s.start_ms[chosen]))
            yield Piece("assignments", _assignment(experiment, unit, row[chosen], times))


def _known_users(world: World, number: int, experiment: Experiment) -> Iterator[Piece]:
    day = world.calendar.day(experiment.first_day)
    for first in range(0, day.known, people.USERS_PER_BLOCK):
        users = np.arange(first, min(first + people.USERS_PER_BLOCK, day.known), dtype=np.int64)
        times = Spelled(instants(day.date, np.zeros(len(users), dtype=np.int64)))
        row = assigned(world.config, number, users)
        yield Piece("assignments", _assignment(experiment, Spelled(user_ids(users)), row, times))


def _assignment(experiment: Experiment, unit: Spelled, row: NDArray[np.int8], times: Spelled) -> Table:
    names = [variant.name for variant in experiment.variants]
    return {
        "experiment_id": Coded((experiment.name,), np.zeros(len(row), dtype=np.int8)),
        "variant_id": Coded(names, row),
        "unit_id": unit,
        "assigned_at": times,
    }


def _texts(texts: list[str]) -> Coded:
    return Coded(texts, np.arange(len(texts)))


SOURCE = Source("events", pieces, lists, endings(), Aggregates)
