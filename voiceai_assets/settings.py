"""Typed settings, read once from ``VOICEAI_*`` environment variables.

Belongs here: what a person may configure, its default and its validation.
Does not belong here: anything derived at run time (connections, paths of single files, partitions).
"""

from __future__ import annotations

import os
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "VOICEAI_"
REPOSITORY = Path(__file__).resolve().parent.parent


class SettingsError(ValueError):
    """A setting is unknown or has a value that cannot be used."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; write one like Africa/Kigali") from error
    return name


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


class Settings(BaseSettings):
    """Everything that can be configured; every field is an environment variable ``VOICEAI_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    home: Annotated[Path, AfterValidator(_absolute)] = Field(
        default=Path(".voiceai"), description="where landing, lake, embedded server, models and logs live"
    )
    landing_url: str = Field(
        default="", description="landing on an object store (s3://bucket/prefix); HOME/landing is its copy then"
    )
    lake_url: str = Field(default="", description="where the lake is written to as well (s3://bucket/prefix)")
    database_url: SecretStr | None = Field(
        default=None, description="an external PostgreSQL; without it an embedded one is started in HOME/postgres"
    )
    reader_password: SecretStr | None = Field(
        default=None, description="password of bi_reader on an external server (the embedded one uses a private socket)"
    )
    dagster_database: str = Field(
        default="voiceai_dagster", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="Dagster's own database, same server"
    )
    start_date: date | None = Field(
        default=None, description="first daily partition; without it, the earliest day that ever landed"
    )
    source_timezone: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="UTC", description="zone of timestamps without an offset, and of the days"
    )
    session_timeout_minutes: int = Field(
        default=30, ge=1, description="a session without outcome that is silent for longer counts as abandoned"
    )
    quiet_seconds: float = Field(default=10.0, ge=0, description="a file younger than this may still be being written")
    pseudonym_key: SecretStr | None = Field(
        default=None, description="HMAC key for user ids; without it one is generated in HOME/pseudonym.key (mode 0600)"
    )
    keep_landing_days: int | None = Field(
        default=None, ge=1, description="landed files of older days are deleted; without it they are kept"
    )
    keep_text_days: int | None = Field(
        default=None, ge=1, description="free text of older days is taken out of lake and raw; without it, it is kept"
    )
    code_revision: str = Field(
        default="", description="revision of the code for certificates; without it, the commit of the checkout"
    )
    bind_host: str = Field(default="127.0.0.1", description="address that the web servers listen on")
    dagster_port: int = Field(default=3000, ge=1, le=65535, description="port of the Dagster UI")
    dashboard_port: int = Field(default=8050, ge=1, le=65535, description="port of the dashboards")
    scoring_port: int = Field(default=8060, ge=1, le=65535, description="port of the scoring service")

    @property
    def landing(self) -> Path:
        """Files exactly as they arrived."""
        return self.home / "landing"

    @property
    def lake(self) -> Path:
        """Typed, pseudonymised Parquet, one folder per dataset and day."""
        return self.home / "lake"

    @property
    def models(self) -> Path:
        """Model files, one immutable folder per version."""
        return self.home / "models"

    @property
    def reports(self) -> Path:
        """Governance reports, one folder per period."""
        return self.home / "reports"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder."""
        return self.home / "dagster"

    @property
    def dbt_target(self) -> Path:
        """Where dbt writes its manifest; outside the repository so that the checkout stays clean."""
        return self.home / "dbt"

    @property
    def dashboard_url(self) -> str:
        """Address of the dashboards, as put into asset metadata."""
        return f"http://{self._reachable_host}:{self.dashboard_port}/"

    @property
    def dagster_url(self) -> str:
        """Address of the Dagster UI, as linked from the dashboards."""
        return f"http://{self._reachable_host}:{self.dagster_port}/"

    @property
    def _reachable_host(self) -> str:
        """Where a browser finds what listens on ``bind_host``: a wildcard is no address to link to."""
        return "127.0.0.1" if self.bind_host in {"0.0.0.0", "::", ""} else self.bind_host  # noqa: S104  # compared, not bound


def load_settings() -> Settings:
    """Read the environment; a ``VOICEAI_`` variable that is no setting raises instead of being ignored.

    Raises:
        SettingsError: for an unknown variable (with the nearest known name) or an unusable value.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(known))}"
            raise SettingsError(f"{name} is not a setting of this platform{hint}")
    try:
        return Settings()
    except ValueError as error:
        raise SettingsError(f"a {PREFIX}* environment variable cannot be used: {error}") from error
