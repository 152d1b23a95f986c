"""``raw`` is rebuilt from the lake with the command that the recipes give, as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import shutil

import pytest

from tests.integration.test_command_line import voiceai
from tests.integration.world import World, session
from voiceai_assets.settings import REPOSITORY

pytestmark = pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="the commands use the home's own server")
DAYS = ("2026-08-01", "2026-08-02")


def _command_of_the_recipe(partitions: str) -> list[str]:
    section = (REPOSITORY / "docs" / "recipes.md").read_text().split("## Rebuild `raw` from the lake")[1]
    commands = re.findall(r"^voiceai (exec .*)$", section.split("\n## ")[0].replace("\\\n", ""), re.MULTILINE)
    return next(words for words in map(shlex.split, commands) if partitions in words)


def test_rows_that_raw_lost_come_back_from_the_lake_alone(world: World) -> None:
    home = world.settings.home
    for day in DAYS:
        world.land(f"turns-{day}.jsonl", session(f"s-{day}", f"{day}T10:00"))
    world.look()
    for day in reversed(DAYS):  # a day that was run before a later one came is stale, and would be judged as such
        world.run(day)
    rows = "select * from raw.turns order by turn_date, session_id, turn_number"
    before, status = world.query(rows), {day: world.status(day) for day in DAYS}
    shutil.rmtree(world.settings.landing)
    with world.pipeline.warehouse.connect() as connection:
        connection.execute("truncate raw.turns")

    one = voiceai(home, *_command_of_the_recipe("--partition"))
    assert one.returncode == 0, one.stderr
    assert world.query(rows) == [row for row in before if str(row["turn_date"]) == DAYS[0]]
    more = _command_of_the_recipe("--partition-range")
    several = voiceai(home, *[word.replace("2026-08-31", DAYS[1]) for word in more])
    assert several.returncode == 0, several.stderr
    assert world.query(rows) == before
    assert {day: world.status(day) for day in DAYS} == status == dict.fromkeys(DAYS, "certified")
