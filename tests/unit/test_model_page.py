"""The page *Model*: what it shows of the versions on disk, and that a card cannot bring anything of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from voiceai_assets.dashboard.model import add_model_page

FIRST, SECOND = "0123456789ab", "ba9876543210"
CARD = "# Abandonment model\n\n| Measure | Value |\n| --- | --- |\n| AUC | 0.61 |\n\n![reliability](reliability.png)\n"
REFUSED = {
    "action": "refuse",
    "because": "too sure of itself",
    "criteria": [{"name": "hazard is calibrated", "holds": False, "found": "slope 0.7"}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "abandonment"


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    server = Flask(__name__)
    add_model_page(server, tmp_path)
    return server.test_client()


def _save(folder: Path, version: str, card: str = CARD) -> None:
    (folder / version).mkdir(parents=True)
    (folder / version / "card.md").write_text(card)
    (folder / version / "card.json").write_text('{"secret": "not for the page"}')
    (folder / version / "reliability.png").write_bytes(b"\x89PNG")


def _judge(folder: Path, version: str, verdict: dict[str, object]) -> None:
    (folder / "verdicts").mkdir(exist_ok=True)
    (folder / "verdicts" / f"{version}.json").write_text(json.dumps(verdict))
    (folder / "candidate.json").write_text(json.dumps({"version": version}))


def test_before_the_first_training_it_says_what_to_do(client: FlaskClient) -> None:
    text = client.get("/model").text
    assert "No version was trained yet" in text
    assert "voiceai train" in text


def test_a_refused_version_shows_the_criterion_that_does_not_hold(client: FlaskClient, folder: Path) -> None:
    _save(folder, FIRST)
    _judge(folder, FIRST, REFUSED)
    text = client.get("/model").text
    assert "refused: its scores are not published" in text
    assert "hazard is calibrated" in text
    assert "No version is the champion yet" in text
    assert "<h2>Abandonment model</h2>" in text
    assert "<td>0.61</td>" in text


def test_the_champion_is_shown_before_the_version_that_was_judged_last(client: FlaskClient, folder: Path) -> None:
    _save(folder, FIRST)
    _save(folder, SECOND)
    _judge(folder, FIRST, REFUSED)
    (folder / "champion.json").write_text(json.dumps({"version": SECOND, "earlier": []}))
    text = client.get("/model").text
    assert f"Version {SECOND}" in text
    assert "champion: its scores are published" in text
    assert f'<a href="/model?version={FIRST}">' in text
    assert f"Version {FIRST}" in client.get(f"/model?version={FIRST}").text


def test_a_version_that_is_not_there_is_as_if_none_was_asked_for(client: FlaskClient, folder: Path) -> None:
    _save(folder, FIRST)
    assert f"Version {FIRST}" in client.get("/model?version=../../etc/passwd").text


def test_words_of_a_card_are_words(client: FlaskClient, folder: Path) -> None:
    _save(folder, FIRST, CARD + "\n<script>alert(1)</script> [go](javascript:alert(1))\n")
    text = client.get("/model").text
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert 'href="javascript' not in text


def test_pictures_come_from_their_version_and_nothing_else_does(client: FlaskClient, folder: Path) -> None:
    _save(folder, FIRST)
    assert f'src="/model/{FIRST}/reliability.png"' in client.get("/model").text
    assert client.get(f"/model/{FIRST}/reliability.png").data == b"\x89PNG"
    for path in (f"{FIRST}/card.json", f"{FIRST}/..%2Fcandidate.json", "verdicts/x.png", f"{SECOND}/reliability.png"):
        assert client.get(f"/model/{path}").status_code == 404, path


def test_a_pointer_that_cannot_be_read_is_said(client: FlaskClient, folder: Path) -> None:
    folder.mkdir()
    (folder / "champion.json").write_text("{")
    answer = client.get("/model")
    assert answer.status_code == 503
    assert "train or set the champion again" in answer.text
