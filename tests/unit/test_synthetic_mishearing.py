"""Reference transcripts: the planted rate of word errors comes out of the files again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.unit.reading import read
from voiceai_assets.adapters import ADAPTERS
from voiceai_assets.cli.app import app
from voiceai_assets.synthetic.config import References, Texts, WorldConfig
from voiceai_assets.synthetic.generate import write_all
from voiceai_assets.synthetic.sources import SOURCES
from voiceai_assets.synthetic.world import World
from voiceai_assets.transcripts.words import word_errors

CONFIG = WorldConfig(
    users=800, sessions_per_day=500, days=2, texts=Texts(personal_share=0.05), references=References(0.5, 0.6)
)
Turns = list[dict[str, Any]]


def turns(folder: Path, config: WorldConfig) -> Turns:
    write_all(World(config), SOURCES["canonical"], folder)
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Turns:
    return turns(tmp_path_factory.mktemp("heard"), CONFIG)


def rate(of: Turns) -> float:
    counts = [word_errors(turn["extra"]["reference_transcript"], turn["user_text"]) for turn in of]
    return sum(errors for _, errors in counts) / sum(said for said, _ in counts)


def test_the_planted_rate_of_word_errors_comes_out_of_the_files(heard: Turns) -> None:
    of = [turn for turn in heard if "extra" in turn]
    confidence = np.array([turn["asr_confidence"] for turn in of])
    for low, high in ((0.0, 0.7), (0.7, 0.85), (0.85, 1.0)):
        chosen = [turn for turn in of if low <= turn["asr_confidence"] < high]
        said = np.array([len(turn["extra"]["reference_transcript"].split()) for turn in chosen])
        doubt = 1 - confidence[(confidence >= low) & (confidence < high)]
        planted = 0.6 * (said @ doubt) / said.sum()
        noise = 4 * (planted / said.sum()) ** 0.5
        assert len(chosen) > 100
        assert rate(chosen) == pytest.approx(planted, abs=noise), (low, high)


def test_only_spoken_words_are_written_down_and_the_rest_stays(heard: Turns, tmp_path: Path) -> None:
    plain = turns(tmp_path, replace(CONFIG, references=References()))
    spoken = [turn for turn in plain if turn["channel"] == "voice" and "user_text" in turn]
    assert 0.4 < sum("extra" in turn for turn in heard) / len(spoken) < 0.55
    for before, after in zip(plain, heard, strict=True):
        written = after.get("extra", {}).get("reference_transcript")
        assert written in (None, before.get("user_text"))
        assert written is None or before["channel"] == "voice"
        recognised = {k: v for k, v in after.items() if k != "extra" and (k != "user_text" or written is None)}
        assert recognised == {k: v for k, v in before.items() if k != "user_text" or written is None}


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_the_adapter_reads_references_in_every_format(ending: str, tmp_path: Path) -> None:
    arguments = ["generate", "--to", str(tmp_path), "--days", "1", "--references", "0.5", "--format", ending]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    (path,) = tmp_path.iterdir()
    rows = read(ADAPTERS["canonical"], path)["turns"].rows
    written = [json.loads(row["extra"]) for row in rows if row.get("extra")]
    assert 0.3 < sum("reference_transcript" in extra for extra in written) / len(rows) < 0.5
