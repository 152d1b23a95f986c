"""``voiceai generate``: a synthetic world into files, under a bar.

Belongs here: words of the command line into a world, and back. Does not belong here: the world (``synthetic``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from voiceai_assets.synthetic.config import (
    HOURS,
    Contradictions,
    Effect,
    Experiment,
    Outage,
    References,
    Release,
    Variant,
    WorldConfig,
    curved,
    linear,
    null_asr,
)
from voiceai_assets.synthetic.generate import Delivery, generate
from voiceai_assets.synthetic.sample import log_scores
from voiceai_assets.synthetic.sources import SOURCES
from voiceai_assets.synthetic.sources.canonical import Canonical
from voiceai_assets.synthetic.truth import write_config, write_truth
from voiceai_assets.synthetic.world import World

WORLDS: Mapping[str, Callable[..., WorldConfig]] = {
    "plain": WorldConfig,
    "linear": linear,
    "curved": curved,
    "null-asr": null_asr,
}
_SESSIONS_PER_USER = 5


@dataclass(frozen=True)
class Wish:
    """What was typed; ``None`` leaves the world as it is."""

    world: str
    first_day: date
    days: int
    users: int
    sessions_per_day: float | None
    seed: int
    frailty: float | None
    day_shock: float | None
    mix_shift: float | None
    drift: float | None
    growth: float | None
    season: float | None
    personal: float | None
    release: str | None
    experiment: str | None
    session_randomised: bool
    srm: float
    outages: list[str]
    bad_day: int | None
    contradictions: float
    references: float


def world_of(wish: Wish) -> World:
    """The world that was wished for.

    Raises:
        ValueError: for what makes no world, with what to write instead.
    """
    if wish.world not in WORLDS:
        raise ValueError(f"no world {wish.world!r}; there is {', '.join(WORLDS)}")
    start = WORLDS[wish.world]()
    changes = {
        "hazard": _changed(start.hazard, frailty=wish.frailty, day_shock=wish.day_shock),
        "speech": _changed(start.speech, drift_per_30_days=wish.drift),
        "population": _changed(start.population, rural_shift=wish.mix_shift, growth=wish.growth, season=wish.season),
        "texts": _changed(start.texts, personal_share=wish.personal),
    }
    releases = tuple(release for release in start.releases if release.day < wish.days)
    return World(
        replace(
            start,
            first_day=wish.first_day,
            days=wish.days,
            users=wish.users,
            sessions_per_day=wish.sessions_per_day or max(1.0, wish.users * _SESSIONS_PER_USER / wish.days),
            seed=wish.seed,
            releases=releases if wish.release is None else (start.releases[0], _release(wish.release)),
            experiments=() if wish.experiment is None else (_experiment(wish),),
            outages=tuple(_outage(text) for text in wish.outages),
            calm_midnights=frozenset() if wish.bad_day is None else frozenset({wish.bad_day}),
            contradictions=Contradictions(*[wish.contradictions] * len(fields(Contradictions))),
            references=References(share=wish.references),
            **changes,  # type: ignore[arg-type]  # each is what it replaces
        )
    )


def _changed(part: object, **changes: float | None) -> object:
    return replace(part, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[type-var]


def _release(text: str) -> Release:
    day, effect = _numbers(text, 2, "--release DAY:EFFECT, such as 15:-0.3")
    return Release(int(day), "dialogue-2.0", Effect(hazard=effect))


def _experiment(wish: Wish) -> Experiment:
    name, _, effect = (wish.experiment or "").partition(":")
    (logit,) = _numbers(effect or "0", 1, "--experiment NAME:EFFECT, such as greeting:-0.3")
    arms = (
        Variant("control", 0.5, is_control=True),
        Variant("treatment", 0.5, Effect(hazard=logit), served=0.5 * (1 - wish.srm)),
    )
    return Experiment(name, arms, unit="session" if wish.session_randomised else "user")


def _outage(text: str) -> Outage:
    hint = "--outage DAY:FROM-TO:COMPONENT, such as 3:9-12:llm"
    day, _, rest = text.partition(":")
    hours, _, component = rest.partition(":")
    number, begin, end = _numbers(f"{day}:{hours.replace('-', ':', 1)}", 3, hint)
    if not 0 <= begin < end <= HOURS:
        raise ValueError(f"{text!r} is not {hint}")
    return Outage(int(number), begin, end, component or "llm")


def _numbers(text: str, count: int, hint: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(":")]
    except ValueError:
        found = []
    if len(found) != count:
        raise ValueError(f"{text!r} is not {hint}")
    return found


def write_world(
    wish: Wish,
    source: str,
    ending: str | None,
    folder: Path,
    truth: Path | None,
    delivery: Delivery,
    console: Console,
) -> None:
    """Write the files, and the truth if it is wanted.

    Raises:
        ValueError: for what makes no world, or no such source or format.
    """
    if source not in SOURCES:
        raise ValueError(f"no source {source!r}; there is {', '.join(SOURCES)}")
    chosen = SOURCES[source]
    if wish.bad_day is not None:
        if source != "canonical":
            raise ValueError("--bad-day is an emitter's bug that only canonical files can have")
        chosen = Canonical(distort=log_scores(wish.bad_day)).source()
    if wish.contradictions and source != "irembo":
        raise ValueError("--contradictions are between files that only irembo has")
    if wish.references and source != "canonical":
        raise ValueError("--references are transcripts that only canonical turns carry")
    if truth is not None and truth.resolve().is_relative_to(folder.resolve()):
        raise ValueError("--truth must lie outside --to: whoever lands that folder would land the truth as well")
    world = world_of(wish)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    turns, files, size = 0, 0, 0
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("generating", total=world.config.days)
        for written in generate(world, chosen, folder, ending, delivery):
            if truth is not None:
                write_truth(world, written.number, truth)
            turns, files = turns + written.turns, files + len(written.paths)
            size += sum(path.stat().st_size for path in written.paths)
            progress.update(task, advance=1, description=f"{turns:,} turns")
    if truth is not None:
        write_config(world.config, truth / "world.json")
        console.print(f"the truth lies in {truth}: never land it")
    console.print(f"{turns:,} turns in {files} file(s), {size / 1e6:,.1f} MB, in {folder}")
    console.print(f"next: voiceai land --adapter {source} {folder}")
