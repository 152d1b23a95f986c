"""Promise 7: no personal data past landing. A thousand secrets go in, through every door; none may be found behind it.

Not planted, because nobody promises it (docs/concepts.md): names without a cue, and what an emitter writes into fields
that are no free text, such as ``session_id`` or ``intent``.
"""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.everything import Place, everything_of, search
from tests.integration.secrets import Secret, in_words, needles_of, secrets
from tests.integration.world import World, session

#: Five days that are certified and trained on; on the last one is everything that is refused.
DAYS = [f"2026-08-{n:02}" for n in range(1, 7)]
REFUSED = DAYS[-1]
COUNTS = {
    "phone": 280,
    "email": 100,
    "spoken_email": 100,
    "card": 100,
    "national_id": 100,
    "spoken_digits": 100,
    "name": 120,
    "user": 100,
}
BAKAME = (
    "timestamp,phone_number,session_id,module_name,interaction_type,user_input,ai_response,session_duration,"
    "emotional_data,gamification_data,call_id,turn,remarks"
).split(",")


class Landing:
    """Files of every adapter, and which secret was written where."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.files: dict[str, list[Any]] = {}
        self.planted: dict[str, list[Secret]] = {}
        self._serial = itertools.count(1)

    def plant_all(self, planted: list[Secret]) -> None:
        """Each secret into one place that suits it, the places in turn."""
        doors = {kind: itertools.cycle(_DOORS[_class_of(kind)]) for kind in COUNTS}
        for secret in planted:
            # a caller's number may also be the caller
            kind = "user" if secret.kind == "phone" and self.draw.random() < 0.3 else secret.kind
            door = next(doors[kind])
            door(self, secret)
            self.planted.setdefault(door.__name__, []).append(secret)

    def add(self, file: str, record: Any) -> None:
        self.files.setdefault(file, []).append(record)

    def write(self, folder: Path) -> None:
        """JSON lines, CSV with a header, documents."""
        for name, records in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".json":
                path.write_text(json.dumps(records))
            elif path.suffix == ".csv":
                path.write_text("".join(records) if isinstance(records[0], str) else _csv(records))
            else:
                path.write_bytes(b"\n".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in records))

    # -- records that only lack the secret -------------------------------------------------------------------------

    def number(self) -> int:
        return next(self._serial)

    def moment(self, day: str) -> str:
        return f"{day}T{self.draw.randrange(6, 20):02}:{self.draw.randrange(60):02}:{self.draw.randrange(60):02}"

    def day(self) -> str:
        return self.draw.choice(DAYS[:-1])

    def turn(self, day: str, **fields: Any) -> dict[str, Any]:
        n = self.number()
        made = {
            "session_id": f"s{n}",
            "turn_number": 1,
            "timestamp": self.moment(day),
            "user_id": f"u{n}",
            "asr_confidence": 0.9,
            "session_outcome": "completed",
        }
        return {**made, **fields}

    def bakame(self, day: str, **fields: str) -> dict[str, str]:
        n = self.number()
        made = {
            "timestamp": f"{self.moment(day)}Z",
            "phone_number": f"u{n}",
            "session_id": f"b{n}",
            "module_name": "english",
            "interaction_type": "voice",
            "turn": "1",
            "call_id": f"CA{n}",
        }
        return {**made, **fields}

    def call(self, day: str, transcript: str, **fields: Any) -> dict[str, Any]:
        made = {"call_id": f"call{self.number()}", "timestamp": f"{self.moment(day)}Z", "agent_name": "Aria"}
        return {**made, "transcript_text": transcript, **fields}

    def event(self, day: str, **fields: Any) -> dict[str, Any]:
        n = self.number()
        made = {"id": f"e{n}", "event_type": "message_sent", "unit_id": f"u{n}", "timestamp": f"{self.moment(day)}Z"}
        return {**made, **fields}


def _csv(records: list[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, BAKAME if "interaction_type" in records[0] else list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def _class_of(kind: str) -> str:
    return "user" if kind == "user" else "number" if kind in {"phone", "card", "national_id"} else "text"


# -- the doors: each writes one secret ---------------------------------------------------------------------------------

Door = Callable[[Landing, Secret], None]
_DOORS: dict[str, list[Door]] = {"text": [], "number": [], "user": []}


def _door(*kinds: str) -> Callable[[Door], Door]:
    def register(door: Door) -> Door:
        for kind in kinds:
            _DOORS[kind].append(door)
        return door

    return register


def _turns(day: str) -> str:
    return f"canonical/turns-{day}.jsonl"


def _bakame(day: str) -> str:
    return f"bakame/user_sessions_{day}.csv"


@_door("text", "number")
def words_of_the_caller(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_turns(day), to.turn(day, user_text=in_words(secret, to.draw)))


@_door("text", "number")
def words_of_the_assistant(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_turns(day), to.turn(day, agent_text=f"You said: {in_words(secret, to.draw)}"))


@_door("text", "number")
def technical_error(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_turns(day), to.turn(day, error=f"timeout after '{in_words(secret, to.draw)}'"))


@_door("text", "number")
def unknown_key(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_turns(day), to.turn(day, note=in_words(secret, to.draw)))


@_door("text", "number")
def deep_inside_an_unknown_key(to: Landing, secret: Secret) -> None:
    day = to.day()
    deep = {"contacts": [{"values": [1, None, in_words(secret, to.draw)]}]}
    to.add(_turns(day), to.turn(day, meta=deep, more=json.dumps(deep)))


@_door("number")
def name_of_an_unknown_key(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_turns(day), to.turn(day, by_caller={secret.spelled: 3}))


@_door("number")
def whole_number(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_turns(day), to.turn(day, contact={"callback": int(secret.digits)}))


@_door("number")
def whole_number_that_went_through_a_spreadsheet(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_turns(day), to.turn(day, callback=float(secret.digits)))


@_door("text", "number")
def value_of_the_wrong_type(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_turns(day), to.turn(day, csat=f"very good; {in_words(secret, to.draw)}"))


@_door("text", "number")
def bakame_input(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_bakame(day), to.bakame(day, user_input=in_words(secret, to.draw)))


@_door("text", "number")
def bakame_answer(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_bakame(day), to.bakame(day, ai_response=in_words(secret, to.draw)))


@_door("text", "number")
def bakame_json(to: Landing, secret: Secret) -> None:
    day = to.day()
    data = json.dumps({"mood": {"heard": in_words(secret, to.draw)}})
    to.add(_bakame(day), to.bakame(day, emotional_data=data))


@_door("text", "number")
def bakame_json_that_is_none(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_bakame(day), to.bakame(day, gamification_data=f"{{points: {in_words(secret, to.draw)}"))


@_door("text", "number")
def bakame_unknown_column(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_bakame(day), to.bakame(day, remarks=in_words(secret, to.draw)))


@_door("text", "number")
def bakame_metrics_row(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_bakame(day), to.bakame(day, interaction_type="turn_metrics", user_input=in_words(secret, to.draw)))


@_door("text", "number")
def converza_transcript(to: Landing, secret: Secret) -> None:
    day = to.day()
    words = f"Agent: Good day, who is speaking? Customer: {in_words(secret, to.draw)} Agent: Thank you."
    to.add(f"converza/calls-{day}.json", to.call(day, words))


@_door("text", "number")
def converza_words_of_nobody(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(f"converza/calls-{day}.json", to.call(day, f"{in_words(secret, to.draw)}\nAgent: Thank you."))


@_door("text", "number")
def converza_unknown_key(to: Landing, secret: Secret) -> None:
    day = to.day()
    notes = {"agent": [in_words(secret, to.draw)]}
    to.add(f"converza/calls-{day}.json", to.call(day, "Agent: Hello. Customer: Hello.", notes=notes))


@_door("text", "number")
def event_payload(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(f"events/events_{day}.jsonl", to.event(day, payload={"form": {"answer": in_words(secret, to.draw)}}))


@_door("text", "number")
def event_context(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(f"events/events_{day}.jsonl", to.event(day, context={"last_words": in_words(secret, to.draw)}))


@_door("text", "number")
def event_experiments(to: Landing, secret: Secret) -> None:
    day = to.day()
    listed = [{"experiment_id": "x", "variant_id": "v", "why": in_words(secret, to.draw)}]
    to.add(f"events/events_{day}.jsonl", to.event(day, experiments=listed))


@_door("text", "number")
def experiment_description(to: Landing, secret: Secret) -> None:
    day = to.day()
    record = {"id": f"x{to.number()}", "name": "greeting", "description": in_words(secret, to.draw)}
    to.add(f"events/experiments_{day}.jsonl", record)


@_door("text", "number")
def extra_of_a_declared_session(to: Landing, secret: Secret) -> None:
    day = to.day()
    record = {"session_id": f"d{to.number()}", "started_at": to.moment(day), "survey": in_words(secret, to.draw)}
    to.add(f"canonical/sessions/sessions-{day}.jsonl", record)


# refused records


def _without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in names}


@_door("text", "number")
def refused_turn(to: Landing, secret: Secret) -> None:
    turn = to.turn(REFUSED, user_text=in_words(secret, to.draw))
    to.add(_turns(REFUSED), _without(turn, "turn_number"))


@_door("text", "number")
def refused_turn_with_nested_json(to: Landing, secret: Secret) -> None:
    turn = to.turn(REFUSED, meta=json.dumps({"deep": [in_words(secret, to.draw)]}), list=[[in_words(secret, to.draw)]])
    to.add(_turns(REFUSED), _without(turn, "session_id"))


@_door("text", "number")
def reason_of_a_refusal(to: Landing, secret: Secret) -> None:
    # with words, for digits alone would be a number of a turn
    to.add(_turns(REFUSED), to.turn(REFUSED, turn_number=f"first: {in_words(secret, to.draw)}"))


@_door("text", "number")
def second_record_under_one_identity(to: Landing, secret: Secret) -> None:
    turn = to.turn(REFUSED)
    to.add(_turns(REFUSED), turn)
    to.add(_turns(REFUSED), {**turn, "user_text": in_words(secret, to.draw)})


@_door("text", "number")
def record_that_is_not_utf8(to: Landing, secret: Secret) -> None:
    to.add(_turns(REFUSED), json.dumps(to.turn(REFUSED, user_text=in_words(secret, to.draw))).encode() + b" \xff")


@_door("text", "number")
def record_that_breaks_off(to: Landing, secret: Secret) -> None:
    turn = json.dumps(to.turn(REFUSED, user_text=in_words(secret, to.draw)))
    to.add(_turns(REFUSED), turn[:-2].encode())


@_door("text", "number")
def refused_bakame_row(to: Landing, secret: Secret) -> None:
    to.add(_bakame(REFUSED), to.bakame(REFUSED, user_input=in_words(secret, to.draw), session_id=""))


@_door("text", "number")
def refused_bakame_json(to: Landing, secret: Secret) -> None:
    data = json.dumps({"heard": in_words(secret, to.draw)})
    to.add(_bakame(REFUSED), to.bakame(REFUSED, emotional_data=data, timestamp=""))


@_door("text", "number")
def refused_call(to: Landing, secret: Secret) -> None:
    call = to.call(REFUSED, f"Agent: Hello. Customer: {in_words(secret, to.draw)}")
    to.add(f"converza/calls-{REFUSED}.json", _without(call, "call_id"))


@_door("text", "number")
def refused_event(to: Landing, secret: Secret) -> None:
    event = to.event(REFUSED, payload={"answer": in_words(secret, to.draw)})
    to.add(f"events/events_{REFUSED}.jsonl", _without(event, "event_type"))


@_door("text", "number")
def row_with_too_many_columns(to: Landing, secret: Secret) -> None:
    file = f"canonical/more-{REFUSED}.csv"
    if file not in to.files:
        to.add(file, "session_id,turn_number,timestamp,user_text\n")
    to.add(file, f'w{to.number()},1,{to.moment(REFUSED)},"{in_words(secret, to.draw)}",one too many\n')


# whoever a record names


@_door("user")
def caller_of_a_turn(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_turns(day), to.turn(day, user_id=secret.spelled))


@_door("user")
def caller_under_a_key_that_no_contract_knows(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_turns(day), to.turn(day, userId=secret.spelled))


@_door("user")
def customer_deep_inside_an_unknown_key(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(
        _turns(day), to.turn(day, meta={"customer": [{"User_Name": secret.spelled, "customer.name": secret.spelled}]})
    )


@_door("user")
def caller_in_a_document_within_a_document(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(f"events/events_{day}.jsonl", to.event(day, payload={"body": json.dumps({"callerId": secret.spelled})}))


@_door("user")
def caller_of_bakame(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(_bakame(day), to.bakame(day, phone_number=secret.spelled))


@_door("user")
def customer_of_a_call(to: Landing, secret: Secret) -> None:
    day = to.day()
    call = to.call(day, "Agent: Hello. Customer: Hello.", customer_number=secret.spelled)
    to.add(f"converza/calls-{day}.json", call)


@_door("user")
def unit_of_an_event(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(f"events/events_{day}.jsonl", to.event(day, unit_id=secret.spelled))


@_door("user")
def unit_of_an_assignment(to: Landing, secret: Secret) -> None:
    day = to.day()
    record = {"experiment_id": "x", "variant_id": "v", "unit_id": secret.spelled, "assigned_at": to.moment(day)}
    to.add(f"events/assignments_{day}.jsonl", record)


@_door("user")
def user_of_a_declared_session(to: Landing, secret: Secret) -> None:
    day = to.day()
    record = {"session_id": f"d{to.number()}", "started_at": to.moment(day), "user_id": secret.spelled}
    to.add(f"canonical/sessions/sessions-{day}.jsonl", record)


@_door("user")
def user_of_the_list(to: Landing, secret: Secret) -> None:
    day = to.day()
    to.add(f"canonical/users/users-{day}.csv", {"user_id": secret.spelled, "region": "rural"})


@_door("user")
def applicant(to: Landing, secret: Secret) -> None:
    day = to.day()
    record = {"application_id": f"a{to.number()}", "submitted_at": to.moment(day), "user_id": secret.spelled}
    to.add(f"canonical/applications/applications-{day}.jsonl", record)


@_door("user")
def caller_of_a_refused_turn(to: Landing, secret: Secret) -> None:
    to.add(_turns(REFUSED), _without(to.turn(REFUSED, user_id=secret.spelled), "turn_number"))


@_door("user")
def caller_of_a_refused_bakame_row(to: Landing, secret: Secret) -> None:
    to.add(_bakame(REFUSED), to.bakame(REFUSED, phone_number=secret.spelled, session_id=""))


@_door("user")
def caller_of_a_row_with_too_many_columns(to: Landing, secret: Secret) -> None:
    file = f"canonical/callers-{REFUSED}.csv"
    if file not in to.files:
        to.add(file, "session_id,turn_number,timestamp,user_id\n")
    to.add(file, f"w{to.number()},1,{to.moment(REFUSED)},{secret.spelled},one too many\n")


@_door("user")
def customer_of_a_refused_call(to: Landing, secret: Secret) -> None:
    call = to.call(REFUSED, "Agent: Hello.", customer_number=secret.spelled)
    to.add(f"converza/calls-{REFUSED}.json", _without(call, "timestamp"))


@_door("user")
def unit_of_a_refused_event(to: Landing, secret: Secret) -> None:
    to.add(f"events/events_{REFUSED}.jsonl", _without(to.event(REFUSED, unit_id=secret.spelled), "event_type"))


@_door("text", "number", "user")
def file_without_a_header(to: Landing, secret: Secret) -> None:
    file = f"canonical/headless-{to.number()}-{REFUSED}.csv"
    words = secret.spelled if secret.kind == "user" else in_words(secret, to.draw)
    to.add(file, f'h{to.number()},1,{to.moment(REFUSED)},"{words}"\n')


@_door("text", "number", "user")
def header_that_names_a_column_twice(to: Landing, secret: Secret) -> None:
    file = f"canonical/twice-{to.number()}-{REFUSED}.csv"
    words = secret.spelled if secret.kind == "user" else in_words(secret, to.draw)
    to.add(file, f'h{to.number()},"{words}","{words}"\n')


# -- the platform with all of that in it -------------------------------------------------------------------------------


def _land_enough_to_train_on(to: Landing) -> None:
    """Forty callers a day, some of whom give up when they are misunderstood."""
    for day in DAYS[:-1]:
        for caller in range(40):
            gives_up = to.draw.random() < 0.35
            session, begin = f"t{to.number()}", f"{day}T{7 + caller // 4:02}:{caller % 4 * 15:02}"
            for turn in range(to.draw.randrange(2, 6)):
                row = to.turn(day, session_id=session, turn_number=turn + 1, timestamp=f"{begin}:{turn * 9:02}")
                row |= {"user_id": f"trainee {caller}", "asr_confidence": 0.4 + 0.5 * to.draw.random() * (not gives_up)}
                row |= {"error_type": "misunderstanding" if gives_up and to.draw.random() < 0.5 else None}
                to.add(_turns(day), row | {"session_outcome": "abandoned" if gives_up else "completed"})


#: In the names of two files: one that somebody put into landing, and one that was brought by the command.
NUMBERS_IN_NAMES = ("0788123999", "0788123998")
SOUND = base64.b64encode(b"RIFF" + bytes(range(256)) * 8).decode()


def _land(world: World) -> Landing:
    landing = Landing(seed=7)
    landing.plant_all(secrets(7, COUNTS))
    _land_enough_to_train_on(landing)
    landing.add(f"canonical/call-{NUMBERS_IN_NAMES[0]}-1.jsonl", landing.turn(DAYS[0]))
    landing.add(_turns(DAYS[0]), landing.turn(DAYS[0], audio=f"data:audio/wav;base64,{SOUND}", bare={"sound": SOUND}))
    landing.add(_turns(REFUSED), _without(landing.turn(REFUSED, audio=SOUND), "session_id"))
    landing.write(world.settings.landing)
    world.look()
    return landing


def _command(world: World, *arguments: str) -> Place:
    """A command as a person types it, and what they see of it."""
    settings = world.settings
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VOICEAI_")}
    environment |= {"VOICEAI_HOME": str(settings.home), "VOICEAI_QUIET_SECONDS": "0"}
    if settings.database_url and settings.reader_password:
        environment |= {
            "VOICEAI_DATABASE_URL": settings.database_url.get_secret_value(),
            "VOICEAI_READER_PASSWORD": settings.reader_password.get_secret_value(),
            "VOICEAI_DAGSTER_DATABASE": settings.dagster_database,
        }
    command = [sys.executable, "-m", "voiceai_assets.cli", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=240, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return f"terminal: {arguments[0]}", done.stdout + done.stderr


@pytest.fixture
def everything(world: World, tmp_path: Path) -> tuple[World, Landing, list[Place]]:
    """Landed, run for every day, trained on, looked at; and all that is left of it outside landing."""
    landing = _land(world)
    named = tmp_path / f"call-{NUMBERS_IN_NAMES[1]}-2.jsonl"
    named.write_text(json.dumps(landing.turn(DAYS[0], session_id="brought by the command")))
    seen = [
        _command(world, "land", str(named)),
        _command(world, "materialize", "--from", DAYS[0], "--to", DAYS[-1]),
        _command(world, "train"),
        _command(world, "quarantine", "--limit", "1000"),
        _command(world, "status"),
        _command(world, "report"),
    ]
    assert world.run_unpartitioned("report_job").success
    return world, landing, [*seen, *everything_of(world)]


def test_none_of_a_thousand_secrets_is_found_outside_landing(
    everything: tuple[World, Landing, list[Place]],
) -> None:
    world, landing, places = everything
    planted = [secret for found in landing.planted.values() for secret in found]
    assert len(planted) == 1000
    _assert_the_secrets_were_there(world, landing, planted)
    _assert_the_search_looks_everywhere(places)
    _assert_the_named_files_waited_or_changed_their_names(world, places)
    leaks = search(places, {*needles_of(planted), *NUMBERS_IN_NAMES, SOUND[:200]})
    assert leaks == {}, _report(landing, leaks)


_SPILLING = """
import duckdb, sys, time
db = duckdb.connect()
db.execute("SET memory_limit = '30MB'")
db.execute("SET temp_directory = ?", [sys.argv[1]])
db.execute("create table t as select sha256(i::varchar) || ? as text from range(400000) r(i)", [sys.argv[2]])
print("spilled", flush=True)
time.sleep(600)
"""


def test_what_a_killed_run_spilled_is_gone_after_the_next_run(world: World) -> None:
    """A day beyond the memory limit is spilled to disk as it arrived; a run that is killed cannot clear up."""
    world.land(f"turns-{REFUSED}.jsonl", session("a", f"{REFUSED}T10:00"))
    assert world.run(REFUSED).success
    secret = "and my number is 0788123456"
    spill = world.settings.lake / ".spill"
    process = subprocess.Popen([sys.executable, "-c", _SPILLING, str(spill), secret], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"spilled\n"
    process.kill()
    process.wait()
    assert search(_spilled(world), [secret]), "nothing was spilled: the test shows nothing"
    assert world.run(REFUSED).success
    assert search(_spilled(world), [secret]) == {}


def _spilled(world: World) -> list[Place]:
    return [(path.name, path.read_bytes()) for path in (world.settings.lake / ".spill").rglob("*") if path.is_file()]


def _assert_the_secrets_were_there(world: World, landing: Landing, planted: list[Secret]) -> None:
    """A test that finds nothing must have had something to find: in landing, and read, not left aside."""
    files = [path for path in world.settings.landing.rglob("*") if path.is_file()]
    arrived = search([("landing", b"\n".join(path.read_bytes() for path in files))], [s.spelled for s in planted])
    spelled_otherwise = {s for place in _SPELLED_OTHERWISE for s in landing.planted[place.__name__]}
    missing = {s.spelled.lower() for s in planted if s not in spelled_otherwise} - set(arrived["landing"])
    assert missing == set()
    counted = world.query(
        "select dataset, sum(rows_loaded) as loaded, sum(rows_quarantined) as refused from governance.loads "
        "where is_live and dataset <> 'marts' group by 1"
    )
    booked = {row["dataset"]: (row["loaded"] > 0, row["refused"] > 0) for row in counted}
    assert booked == {
        "turns": (True, True),
        "turn_metrics": (True, False),
        "calls": (True, True),
        "sessions": (True, False),
        "users": (True, False),
        "applications": (True, False),
        "experiments": (True, False),
        "assignments": (True, False),
        "experiment_events": (True, True),
    }
    assert world.certified().keys() == set(DAYS[:-1])


def _assert_the_named_files_waited_or_changed_their_names(world: World, places: list[Place]) -> None:
    for command in ("land", "status"):
        [said] = [content.decode() for name, content in places if name == f"terminal: {command}"]
        assert "canonical/call-[PHONE]-1.jsonl: its name holds" in " ".join(said.split())
    [row] = world.query("select source_file from raw.turns where session_id = 'brought by the command'")
    assert re.fullmatch(r"canonical/call-[a-p]{8}-2\.jsonl", row["source_file"])


_SPELLED_OTHERWISE = (whole_number, whole_number_that_went_through_a_spreadsheet)


def _assert_the_search_looks_everywhere(places: list[Place]) -> None:
    names = [name for name, content in places if content]
    for part in (
        "terminal: quarantine", ": raw.turns", ": governance.quarantine", ": governance.landing_files",
        ": certified.fact_voice_ai_turns", "_dagster: public.event_logs", "_dagster: public.runs", "lake/turns/date=",
        "lake/quarantine/turns/date=", "(rows)", "logs/runs.log", "models/abandonment/", "landmark.skops/", "dbt/",
        "dashboard: /_dash-layout", "dashboard: ..", "dashboard: /export/days.csv",
        "reports/", "report.html", "report.json", "data-docs/", "terminal: report", "governance.load_files",
    ):  # fmt: skip
        assert any(part in name for name in names), f"{part} was not searched"
    shown = b"".join(content for name, content in places if name.startswith("dashboard: .."))
    assert REFUSED.encode() in shown, "the dashboard showed no days"


def _report(landing: Landing, leaks: dict[str, list[str]]) -> str:
    """Which doors let what through, and where it was found: enough to mend it."""
    lines = []
    for door, planted in landing.planted.items():
        through = [s for s in planted if any(n.lower() in found for n in s.needles for found in leaks.values())]
        if through:
            kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(s.kind for s in through).items())
            lines.append(f"{door}: {len(through)} of {len(planted)} ({kinds}), such as {through[0].spelled!r}")
    places = [f"{place}: {len(found)}, such as {found[0]!r}" for place, found in leaks.items()]
    return "\n".join(["secrets left landing", *sorted(lines), "and were found in", *places])
