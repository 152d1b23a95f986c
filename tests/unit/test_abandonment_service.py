"""The scoring service: same numbers as the table, limits that hold, and a change of versions that drops nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import uvicorn
from starlette.testclient import TestClient

from tests.unit.abandonment_world import frames
from voiceai_assets.models.abandonment.features import prefix_table
from voiceai_assets.models.abandonment.registry import Registry
from voiceai_assets.models.abandonment.training import TrainingConfig, train
from voiceai_assets.scoring.champion import Champion
from voiceai_assets.scoring.messages import MOST_BYTES, MOST_SESSIONS, MOST_TURNS
from voiceai_assets.scoring.service import create_service
from voiceai_assets.synthetic.sample import write_sample

SAID = {"asr_confidence": 0.4, "is_error_turn": True, "total_ms": 900, "channel": "voice", "region": "rural"}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    return frames(write_sample(tmp_path_factory.mktemp("sample"), date(2026, 8, 1), days=10))


@pytest.fixture(scope="module")
def trained(facts: tuple[pd.DataFrame, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Two versions, the first is the champion."""
    registry = Registry(tmp_path_factory.mktemp("home") / "models")
    result = train(prefix_table(*facts), TrainingConfig(resamples=5))
    registry.set_champion(registry.save(result, {}, "rev1"))
    registry.save(result, {}, "rev2")
    return registry


@pytest.fixture
def client(trained: Registry) -> Iterator[TestClient]:
    with TestClient(create_service(Champion(trained, every_seconds=0.02))) as client:
        yield client


def test_the_service_gives_the_scores_of_the_table(
    client: TestClient, trained: Registry, facts: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    turns, sessions = facts
    table = prefix_table(turns, sessions)
    table = table.assign(**trained.load(str(trained.champion())).predict(table)).set_index(["session_id", "k"])
    names = ["asr_confidence", "intent_confidence", "is_error_turn", "total_ms"]
    names += ["channel", "user_type", "region", "language", "module"]
    asked, rows = [], []
    for session_id in sessions["session_id"][::60]:
        said = turns[turns["session_id"] == session_id].sort_values("turn_number")
        plain = said[names].astype(object).where(said[names].notna(), None).to_dict("records")
        row = table.loc[(session_id, float(len(plain)))]
        known = {name: row[name] for name in ("earlier_sessions", "earlier_abandoned_share") if not np.isnan(row[name])}
        asked.append({"turns": plain, "known": known})
        rows.append(row)
    answer = client.post("/score/batch", json={"sessions": asked}).json()
    for found, row in zip(answer["scores"], rows, strict=True):
        assert found["hazard"] == pytest.approx(row["hazard"], abs=1e-9)
        assert found["landmark"] == pytest.approx(row["landmark"], abs=1e-9)
    single = client.post("/score", json=asked[0]).json()
    assert single["hazard"] == pytest.approx(answer["scores"][0]["hazard"], abs=1e-12)
    assert answer["model_version"] == single["model_version"] == trained.champion()


def test_worse_recognition_gives_a_higher_chance(client: TestClient) -> None:
    good, bad = (
        client.post("/score", json={"turns": [{**SAID, "is_error_turn": False, "asr_confidence": asr}]}).json()[
            "hazard"
        ]
        for asr in (0.95, 0.2)
    )
    assert bad > 2 * good


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"turns": []}, 422),
        ({"turns": [SAID] * (MOST_TURNS + 1)}, 422),
        ({"turns": [{**SAID, "asr_confidence": 1.7}]}, 422),
        ({"turns": [{**SAID, "asr_confidence": "high"}]}, 422),
        ({"turns": [{**SAID, "total_ms": -1}]}, 422),
        ({"turns": [{**SAID, "user_text": "my name is"}]}, 422),
        ({"turns": [{**SAID, "region": "x" * 65}]}, 422),
        ({"turns": [{"speaker": "agent"}]}, 422),
        ({"sessions": [{"turns": [SAID]}]}, 422),
        ({"turns": [SAID] * MOST_TURNS}, 200),
    ],
)
def test_what_is_no_session_is_refused(client: TestClient, body: object, status: int) -> None:
    assert client.post("/score", json=body).status_code == status


def test_a_request_that_is_too_large_is_refused_whether_it_says_so_or_not(client: TestClient) -> None:
    content = b"[" * (MOST_BYTES + 1)
    assert client.post("/score", content=content).status_code == 413

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    assert client.post("/score", content=pieces()).status_code == 413
    many = {"sessions": [{"turns": [SAID]}] * (MOST_SESSIONS + 1)}
    assert client.post("/score/batch", json=many).status_code == 422


def test_without_a_champion_there_is_no_score_and_health_says_so(tmp_path: Path) -> None:
    with TestClient(create_service(Champion(Registry(tmp_path)))) as client:
        assert client.get("/health").status_code == 503
        answer = client.post("/score", json={"turns": [SAID]})
        assert answer.status_code == 503
        assert "no version is the champion" in answer.json()["detail"]


def test_the_manual_names_every_route(client: TestClient) -> None:
    assert {"/health", "/score", "/score/batch"} <= client.get("/openapi.json").json()["paths"].keys()


def test_a_champion_that_cannot_be_loaded_leaves_the_one_before_in_place(trained: Registry, tmp_path: Path) -> None:
    champion = Champion(trained)
    champion.look()
    before = champion.current().version
    champion.registry = Registry(tmp_path)
    (tmp_path / "abandonment").mkdir()
    (tmp_path / "abandonment" / "champion.json").write_text('{"version": "0123456789ab"}')
    champion.look()
    assert champion.current().version == before


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_the_command_serves_changes_over_and_ends_when_told_to(trained: Registry) -> None:
    """As a process of its own: two clients ask while the champion changes, then SIGTERM comes in the middle of it."""
    first = str(trained.champion())
    second = next(version for version in trained.versions() if version != first)
    port = _free_port()
    surroundings = {**os.environ, "VOICEAI_HOME": str(trained.models.parent), "VOICEAI_SCORING_PORT": str(port)}
    server = subprocess.Popen([sys.executable, "-m", "voiceai_assets.cli", "serve-model"], env=surroundings)
    seen: list[tuple[int, str]] = []
    enough = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            while not enough.is_set():
                answer = client.post("/score", json={"turns": [SAID] * 3})
                seen.append((answer.status_code, answer.json().get("model_version")))

    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            health = _until_healthy(client, server)
            assert health == {"status": "ok", "model_version": first}
            clients = [threading.Thread(target=ask) for _ in range(2)]
            for one in clients:
                one.start()
            trained.set_champion(second)
            until = time.monotonic() + 20
            while client.get("/health").json()["model_version"] != second and time.monotonic() < until:
                time.sleep(0.05)
            enough.set()
            for one in clients:
                one.join()
        server.send_signal(signal.SIGTERM)
        status = server.wait(timeout=20)
    finally:
        enough.set()
        server.kill()
        server.wait()
        trained.set_champion(first)
    assert {code for code, _ in seen} == {200}, "no request is dropped"
    assert {version for _, version in seen} == {first, second}
    assert status in (0, -signal.SIGTERM), "told to end, it ends, and not by a crash"


def _until_healthy(client: httpx.Client, server: subprocess.Popen[bytes]) -> dict[str, str]:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            return dict(client.get("/health").json())
        except httpx.ConnectError:
            time.sleep(0.1)
    raise AssertionError(f"the service did not start (exit status {server.poll()})")


def test_an_exchange_of_versions_under_load_drops_no_request(trained: Registry) -> None:
    first = str(trained.champion())
    second = next(version for version in trained.versions() if version != first)
    port = _free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            create_service(Champion(trained, every_seconds=0.02)), host="127.0.0.1", port=port, log_level="error"
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    seen: list[str] = []
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            for number in range(400):
                if number % 50 == 25:
                    trained.set_champion(second if trained.champion() == first else first)
                answer = client.post("/score", json={"turns": [SAID] * 3})
                assert answer.status_code == 200
                seen.append(answer.json()["model_version"])
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        trained.set_champion(first)
    assert set(seen) == {first, second}
