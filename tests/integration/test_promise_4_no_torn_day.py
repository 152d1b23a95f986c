"""Promise 4: readers see the old day or the new one, never a mix, and never nothing in between."""

from __future__ import annotations

import threading

from tests.integration.world import World, session

DAY = "2026-08-01"


def test_readers_never_see_a_torn_day(world: World) -> None:
    small = [row for n in range(5) for row in session(f"s{n}", f"{DAY}T10:00", turns=2)]
    large = [row for n in range(50) for row in session(f"s{n}", f"{DAY}T10:00", turns=4)]
    world.land("turns-2026-08-01.jsonl", small)
    assert world.run(DAY).success

    seen: set[tuple[int, int, int]] = set()
    done = threading.Event()

    def read() -> None:
        with world.as_reader() as reader:
            while not done.is_set():
                row = reader.execute(
                    "select (select count(*) from certified.fact_voice_ai_sessions), "
                    "(select coalesce(sum(turn_count), 0) from certified.fact_voice_ai_sessions), "
                    "(select count(*) from certified.fact_voice_ai_turns)"
                ).fetchone()
                assert row is not None
                seen.add((int(row[0]), int(row[1]), int(row[2])))
                reader.rollback()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for rows in (large, small, large):
            world.land("turns-2026-08-01.jsonl", rows)
            assert world.run(DAY).success
    finally:
        done.set()
        reader.join()
    assert seen == {(5, 10, 10), (50, 200, 200)}


def test_a_publication_that_fails_half_way_leaves_the_old_day(world: World) -> None:
    from voiceai_assets.warehouse import publications

    world.land("turns-2026-08-01.jsonl", session("a", f"{DAY}T10:00"))
    assert world.run(DAY).success
    live = world.query("select * from governance.publications where is_live order by mart")
    try:
        with world.pipeline.warehouse.connect() as connection:
            load_id = live[0]["load_id"]
            publications.publish_day(connection, DAY, load_id, {"a second": "certificate"})
            raise RuntimeError("power cut")
    except RuntimeError:
        pass
    assert world.query("select * from governance.publications where is_live order by mart") == live
    assert world.certified() == {DAY: 1}


def test_rows_of_another_load_than_the_judged_one_are_refused(world: World) -> None:
    import pytest

    from voiceai_assets.warehouse.publications import PublicationError, publish_day

    world.land("turns-2026-08-01.jsonl", session("a", f"{DAY}T10:00"))
    assert world.run(DAY).success
    with pytest.raises(PublicationError, match="another load"), world.pipeline.warehouse.connect() as connection:
        publish_day(connection, DAY, "some other load", {})
