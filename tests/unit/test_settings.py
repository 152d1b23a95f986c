"""Settings: unknown values raise, defaults are safe."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from voiceai_assets.privacy.pseudonyms import load_pseudonymiser
from voiceai_assets.settings import Settings, SettingsError, load_settings


def test_an_unknown_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEAI_DATABASE_URI", "postgresql://x")
    with pytest.raises(SettingsError, match="did you mean VOICEAI_DATABASE_URL"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VOICEAI_SOURCE_TIMEZONE", "Mars/Olympus"),
        ("VOICEAI_DAGSTER_PORT", "0"),
        ("VOICEAI_START_DATE", "soon"),
        ("VOICEAI_DAGSTER_DATABASE", "x; drop table y"),
    ],
)
def test_an_unusable_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name.removeprefix("VOICEAI_").lower()):
        load_settings()


def test_servers_listen_on_loopback_unless_told_otherwise() -> None:
    assert Settings().bind_host == "127.0.0.1"


def test_secrets_do_not_show_in_the_settings(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url="postgresql://u:hunter2@h/d", pseudonym_key="correct horse battery")  # type: ignore[arg-type]
    assert "hunter2" not in repr(settings)
    assert "horse" not in repr(settings)


def test_a_generated_key_is_readable_by_its_owner_only_and_stays(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    first = load_pseudonymiser(settings)
    assert stat.S_IMODE((tmp_path / "pseudonym.key").stat().st_mode) == 0o600
    assert load_pseudonymiser(settings)("x") == first("x")


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 16"):
        load_pseudonymiser(Settings(home=tmp_path, pseudonym_key="short"))  # type: ignore[arg-type]
