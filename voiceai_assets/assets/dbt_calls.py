"""dbt inside our own process: as a child, each call spent 4 s on importing dbt and on parsing what has not changed.

Belongs here: one dbt call, its events, its failure. Does not belong here: what is built when (``dbt``).
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator
from dagster_dbt.asset_utils import get_updated_cli_invocation_params_for_context
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from voiceai_assets.checks.structure import FailedNode
from voiceai_assets.instance import environment
from voiceai_assets.settings import Settings
from voiceai_assets.versions import DBT_PROJECT, dbt_project_version

#: What a parsed project depends on beside its files: names of databases and schemas are resolved while parsing. dbt
#: would parse all of it anew (5 s) for another address or window, which nothing in it depends on.
_PARSED_FOR = ("DBT_ENV_DATABASE", "DBT_SCHEMA_PREFIX")
_CACHE = "partial_parse.msgpack"

Event = dict[str, Any]


class DbtError(RuntimeError):
    """A dbt call failed; the message holds what dbt said, ``nodes`` what failed in it."""

    def __init__(self, message: str, nodes: Sequence[FailedNode] = ()) -> None:
        super().__init__(message)
        self.nodes = tuple(nodes)


class DbtCalls:
    """The dbt project of one home.

    One parse serves all calls of a process for the same database. The window of days is no part of it: SQL is rendered
    anew in each call. Kept as bytes, because a call leaves its compiled SQL in the project that it was given, and the
    next one would take that for its own.
    """

    _parsed: tuple[tuple[str, ...], bytes] | None = None  # of the process: there is one dbt in it

    def __init__(self, settings: Settings) -> None:
        self._cache = settings.dbt_target

    def build(self, arguments: Sequence[str]) -> None:
        """``dbt build`` with these arguments; the environment says where and for which days.

        Raises:
            DbtError: when a node fails.
        """
        _, failure = self._build(arguments)
        if failure:
            raise failure

    def build_assets(
        self, context: dg.AssetExecutionContext, arguments: Sequence[str]
    ) -> tuple[list[Any], DbtError | None]:
        """``dbt build`` of what the step has selected: one output per model, one result per test, and what failed."""
        params = get_updated_cli_invocation_params_for_context(context, {}, DagsterDbtTranslator())
        heard, failure = self._build([*arguments, *params.selection_args])
        told: list[Any] = []
        for event in heard:
            message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
            told += message.to_default_asset_events(
                manifest=params.manifest,
                dagster_dbt_translator=params.dagster_dbt_translator,
                context=context,
                target_path=None,
                project=params.dbt_project,
            )
        return told, failure

    def _build(self, arguments: Sequence[str]) -> tuple[list[Event], DbtError | None]:
        with self._target() as target:
            return _call(["build", *arguments], target, self._manifest())

    def _manifest(self) -> Any:
        from dbt.contracts.graph.manifest import Manifest
        from dbt.parser.manifest import extended_mashumuro_decoder

        key = (dbt_project_version(), *(os.environ.get(name, "") for name in _PARSED_FOR))
        if self._parsed is None or self._parsed[0] != key:
            DbtCalls._parsed = (key, self._parse())
        assert self._parsed is not None
        return Manifest.from_msgpack(self._parsed[1], decoder=extended_mashumuro_decoder)

    def _parse(self) -> bytes:
        cache = self._cache / (os.environ.get("DBT_SCHEMA_PREFIX", "") + _CACHE)
        with self._target() as target:
            with suppress(FileNotFoundError):
                shutil.copy(cache, target / _CACHE)
            with environment(dict.fromkeys(os.environ.keys() - parsing_environment().keys())):
                _, failure = _call(["parse"], target)
            if failure:
                raise failure
            draft = target / "kept"  # another process may be reading the cache
            shutil.copy(target / _CACHE, draft)
            draft.replace(cache)
            return cache.read_bytes()

    @contextmanager
    def _target(self) -> Iterator[Path]:
        """A folder of its own for what a call writes; a year of hourly runs would leave 8,760 of them."""
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="call-", dir=self._cache) as folder:
            yield Path(folder)


def _call(arguments: Sequence[str], target: Path, manifest: Any = None) -> tuple[list[Event], DbtError | None]:
    """What dbt told, debugging aside, and what failed; its messages are printed as they come."""
    from dbt.cli.main import dbtRunner  # three seconds that only a process that builds should spend
    from dbt_common.events.functions import msg_to_dict

    heard: list[Event] = []

    def hear(message: Any) -> None:
        if message.info.level != "debug":
            sys.stdout.write(f"{message.info.msg}\n")
            heard.append(msg_to_dict(message))

    folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    written = ["--target-path", str(target), "--log-path", str(target)]
    # events come by callback; the JSON of the whole project takes a second to write and nobody reads it
    quiet = ["--log-level=none", "--log-level-file=none", "--no-write-json", "--no-send-anonymous-usage-stats"]
    before = Path.cwd()
    try:
        done = dbtRunner(manifest, callbacks=[hear]).invoke([*arguments, *folders, *written, *quiet])
    finally:
        os.chdir(before)  # dbt works inside its project
    if done.exception is not None and not isinstance(done.exception, Exception):
        raise done.exception  # Ctrl-C, or Dagster's own interruption
    if done.success:
        return heard, None
    errors = [event["info"]["msg"] for event in heard if event["info"]["level"] == "error"]
    said = "\n".join(errors[-20:]) or str(done.exception)
    failure = DbtError(f"dbt {arguments[0]} failed: {said}", _failed_nodes(getattr(done.result, "results", [])))
    failure.__cause__ = done.exception
    return heard, failure


def _failed_nodes(results: Sequence[Any]) -> list[FailedNode]:
    """Of the results of a build, those that did not succeed; what was skipped because of them is not among them."""
    tables = {r.node.unique_id: f"{r.node.schema}/{r.node.name}" for r in results if hasattr(r.node, "schema")}
    return [
        FailedNode(r.node.name, _table_of(r.node, tables), r.status == "fail", r.failures or 0, r.message or "")
        for r in results
        if r.status in {"fail", "error", "runtime error"}
    ]


def _table_of(node: Any, tables: Mapping[str, str]) -> str:
    """The table that a node is, or that a test is about: as Dagster, which shows the test beside that asset."""
    about = node.unique_id
    if node.resource_type == "test":  # a test of its own file is attached to no model, but says which it is about
        declared = node.config.meta.get("dagster", {}).get("ref", {}).get("name")
        of_that_name = [n for n in node.depends_on.nodes if declared and n.endswith(f".{declared}")]
        about = getattr(node, "attached_node", None) or next(iter([*of_that_name, *node.depends_on.nodes]), about)
    return tables.get(about, about.rsplit(".", 1)[-1])


def parsing_environment() -> dict[str, str]:
    """The environment without what must not decide how the project is parsed."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DBT_") or name in _PARSED_FOR}
