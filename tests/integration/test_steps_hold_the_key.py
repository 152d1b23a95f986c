"""A rotation of the pseudonym key waits for each step that reads pseudonyms in one place and writes them in another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.world import World, session
from voiceai_assets import pipeline, rotation
from voiceai_assets.assets import calls

DAY = "2026-08-01"


class WaitedError(Exception):
    """The rotation would wait."""


def _listen(phase: str, what: str) -> None:
    assert phase == "waiting", f"the key is rotated ({phase} {what}) while a step works with it"
    raise WaitedError


@pytest.mark.parametrize(("module", "name"), [(calls, "replace_day"), (pipeline, "evaluate")], ids=["calls", "checks"])
def test_no_rotation_comes_between_what_a_step_reads_and_what_it_writes(
    world: World, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    works: Callable[..., Any] = getattr(module, name)
    waited = []

    def beside_a_rotation(*args: Any, **kwargs: Any) -> Any:
        with pytest.raises(WaitedError):
            rotation.rotate(world.settings, world.pipeline.warehouse, _listen)
        waited.append(name)
        return works(*args, **kwargs)

    monkeypatch.setattr(module, name, beside_a_rotation)
    world.land("turns.jsonl", session("a", f"{DAY}T10:00"))
    assert world.run(DAY).success
    assert waited
