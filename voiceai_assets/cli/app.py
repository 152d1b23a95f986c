"""Commands: what a person types, what they see, and the exit status.

Belongs here: arguments, words, tables, bars. Does not belong here: work (``pipeline``, ``runs``, ``supervisor``).
"""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from voiceai_assets.lake.remote import StoreError
from voiceai_assets.settings import SettingsError, load_settings
from voiceai_assets.stopping import is_stop
from voiceai_assets.warehouse.server import WarehouseError

if TYPE_CHECKING:
    from voiceai_assets.pipeline import Pipeline

app = typer.Typer(
    help="Voice AI Analytics: raw turn files to certified dashboards.\n\n"
    "First steps: `voiceai up` starts everything with a sample; `voiceai land FOLDER` brings your own files; "
    "`voiceai materialize --from DAY --to DAY` runs days; `voiceai status` says which are certified and why not.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _terminal(number: int) -> Console:
    """A console on a copy of the stream: runs redirect the streams themselves into a log, the bar stays visible."""
    stream = os.fdopen(os.dup(number), "w")
    width = None if stream.isatty() else 120  # a pipe has no width; 80 would fold every reason
    return Console(file=stream, highlight=False, width=width)


console = _terminal(1)
errors = _terminal(2)

_BLOCKED, _FAILED, _STOPPED = 2, 1, 130


@app.command()
def up(
    sample: Annotated[bool, typer.Option(help="Land a generated sample when a local landing is empty.")] = True,
) -> None:
    """Start everything: server, Dagster UI and dashboards. Ctrl-C stops what it started.

    With nothing in landing a sample of 30 days lands, one of them bad on purpose. Days that are due are run first, and
    the abandonment model is trained where none was judged yet.
    """
    from voiceai_assets.cli.first_run import first_run
    from voiceai_assets.supervisor import supervise

    pipeline = _pipeline()
    first_run(pipeline, console, with_sample=sample)
    raise typer.Exit(supervise(pipeline, console))


@app.command()
def land(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders; folders are searched for files.")],
    adapter: Annotated[str, typer.Option(help="Format of the files: a folder in landing.")] = "canonical",
) -> None:
    """Copy files into landing and look into them; landing them again changes nothing."""
    from voiceai_assets.cli.landing import land_files

    raise typer.Exit(land_files(_pipeline(), paths, adapter, console, errors))


@app.command()
def materialize(
    first: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD.")],
    last: Annotated[str | None, typer.Option("--to", help="Last day, YYYY-MM-DD; the first day by default.")] = None,
) -> None:
    """Run days from landing to dashboards, in this process; the run shows in the Dagster UI.

    Exit status: 0 all certified, 2 some day is not, 1 something failed, 130 stopped.
    """
    from voiceai_assets.cli.days import materialize_days

    raise typer.Exit(materialize_days(_pipeline(), _day(first), _day(last or first), console, errors))


@app.command()
def status(
    first: Annotated[str | None, typer.Option("--from", help="First day to show.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day to show.")] = None,
) -> None:
    """Show every day: landed, loaded, checked, certified, and why not.

    Exit status: 0 all certified, 2 some day is not.
    """
    from voiceai_assets.cli.days import show_status

    raise typer.Exit(show_status(_pipeline(), _day(first) if first else None, _day(last) if last else None, console))


@app.command()
def quarantine(
    first: Annotated[str | None, typer.Option("--from", help="First day.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only this reason, such as missing_field.")] = None,
    file: Annotated[str | None, typer.Option(help="Only this file, as landing names it.")] = None,
    limit: Annotated[int, typer.Option(help="Records to show.", min=1)] = 20,
    export: Annotated[Path | None, typer.Option(help="Write the records as they arrived into this file.")] = None,
    mend: Annotated[Path | None, typer.Option(help="Put the corrected records of an exported file back.")] = None,
) -> None:
    """Show refused records with file, line and reason; take them out, and put corrected ones back.

    A corrected record takes its old place in its file, so the day is loaded from the file as ever; the file as it was
    is kept in HOME/replaced.
    """
    from voiceai_assets.cli import quarantine as command

    pipeline = _pipeline()
    if mend is not None:
        raise typer.Exit(command.put_back(pipeline, mend, console, errors))
    days = [_day(day).isoformat() if day else None for day in (first, last)]
    records = command.refused(pipeline, days[0], days[1], reason, file)
    if export is not None:
        raise typer.Exit(command.export(pipeline, records, export, console))
    raise typer.Exit(command.show(records, limit, console))


@app.command()
def erase(
    user: Annotated[str, typer.Option(help="The ID, as the source writes it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget one person: landing, lake, raw, marts, kept versions, quarantine and safety copies.

    Looks first and says what would go, runs the days again without the person, and searches every place afterwards.
    Records of the person that come later are refused. Can be interrupted and repeated.

    Exit status: 0 nothing is left, 1 something is, or nothing was done.
    """
    from voiceai_assets.cli import privacy

    def may_go_on(question: str) -> bool:
        return yes or typer.confirm(question, default=False)

    raise typer.Exit(privacy.erase(_pipeline(), user, console, errors, may_go_on))


@app.command()
def retain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
) -> None:
    """Delete landed files and free text older than VOICEAI_KEEP_LANDING_DAYS and VOICEAI_KEEP_TEXT_DAYS.

    The days stay as they were loaded and certified. While `voiceai up` runs, this happens every night.
    """
    from voiceai_assets.cli import privacy

    raise typer.Exit(privacy.retain(_pipeline(), console, errors, is_rehearsal=dry_run))


@app.command(name="generate")
def generate_(
    to: Annotated[Path, typer.Option("--to", help="Folder to write into; made if missing.")],
    days: Annotated[int, typer.Option(help="How many days.", min=1)] = 30,
    users: Annotated[int, typer.Option(help="How many people could call.", min=1)] = 600,
    sessions_per_day: Annotated[
        float | None, typer.Option(help="Sessions a day; by default 5 per user in all.")
    ] = None,
    first_day: Annotated[str, typer.Option(help="The first day, YYYY-MM-DD.")] = "2026-01-01",
    seed: Annotated[int, typer.Option(help="Another seed, another world; the same seed, the same bytes.")] = 20260801,
    source: Annotated[str, typer.Option(help="canonical, irembo, bakame, converza or events.")] = "canonical",
    ending: Annotated[
        str | None,
        typer.Option(
            "--format", help="jsonl, csv or parquet, text also with .gz or .zst; the source's own by default."
        ),
    ] = None,
    world: Annotated[
        str,
        typer.Option(
            help="plain; linear (nothing unseen, the hazard a straight line); curved (a hazard that no straight line "
            "follows); null-asr (ASR confidence does nothing)."
        ),
    ] = "plain",
    truth: Annotated[Path | None, typer.Option(help="Write the truth into this other folder (Parquet, JSON).")] = None,
    frailty: Annotated[float | None, typer.Option(help="Unseen differences between callers, logits.")] = None,
    day_shock: Annotated[float | None, typer.Option(help="Differences between days, logits.")] = None,
    mix_shift: Annotated[
        float | None, typer.Option(help="Added to the rural share by the last day, such as 0.2.")
    ] = None,
    drift: Annotated[float | None, typer.Option(help="Change of ASR confidence in 30 days, logits.")] = None,
    growth: Annotated[float | None, typer.Option(help="Volume of the last day over the first, minus 1.")] = None,
    season: Annotated[float | None, typer.Option(help="Amplitude of a yearly wave of volume, such as 0.2.")] = None,
    personal: Annotated[float | None, typer.Option(help="Share of turns with planted personal data.")] = None,
    release: Annotated[
        str | None, typer.Option(help="A release and its effect on giving up: DAY:LOGITS, such as 15:-0.3.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(help="An experiment and its effect: NAME:LOGITS, such as greeting:-0.3 (0: A/A).")
    ] = None,
    session_randomised: Annotated[bool, typer.Option("--session-randomised", help="Randomise sessions.")] = False,
    srm: Annotated[float, typer.Option(help="Share of the treatment arm that is lost (sample ratio mismatch).")] = 0.0,
    outage: Annotated[
        list[str] | None, typer.Option(help="DAY:FROM-TO:COMPONENT, such as 3:9-12:llm; may be given again.")
    ] = None,
    bad_day: Annotated[int | None, typer.Option(help="Day whose confidences are log scores (canonical).")] = None,
    contradictions: Annotated[
        float,
        typer.Option(
            help="Share of sessions whose records contradict what happened, by each of five kinds: escalation flag, "
            "transfer reason, business record, applicant, declared turns (irembo)."
        ),
    ] = 0.0,
    references: Annotated[
        float,
        typer.Option(help="Share of spoken turns with a reference transcript, recognised with errors (canonical)."),
    ] = 0.0,
    late: Annotated[float, typer.Option(help="Share of rows that come in files of their own, in TO/late.")] = 0.0,
    repeated: Annotated[float, typer.Option(help="Share of rows that stand twice in their file.")] = 0.0,
    again: Annotated[list[int] | None, typer.Option(help="Day whose files come twice, in TO/again.")] = None,
    missing: Annotated[list[int] | None, typer.Option(help="Day whose files never come.")] = None,
) -> None:
    """Write a synthetic world with a known truth, in the format of any source.

    Days are numbered from 0. Effects are logits of the chance to give up before the next turn: -0.3 makes it about a
    quarter smaller. Days appear whole or not at all, so Ctrl-C is safe; the same command gives the same bytes again.
    docs/synthetic.md says what causes what.

    For a first look: `voiceai generate --to demo && voiceai land demo`

    An experiment with a sample ratio mismatch: `voiceai generate --to ab --source events --experiment greeting:-0.3
    --srm 0.1 --truth ab-truth`

    A large one: `voiceai generate --to big --users 2000000 --sessions-per-day 500000 --days 10 --format parquet`
    """
    from voiceai_assets.cli.generate import Wish, write_world
    from voiceai_assets.synthetic.generate import Delivery

    wish = Wish(
        world, _day(first_day), days, users, sessions_per_day, seed, frailty, day_shock, mix_shift, drift, growth,
        season, personal, release, experiment, session_randomised, srm, outage or [], bad_day,
        contradictions, references,
    )  # fmt: skip
    delivery = Delivery(late, repeated, frozenset(again or ()), frozenset(missing or ()))
    try:
        write_world(wish, source, ending, to, truth, delivery, console)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def verify(
    day: Annotated[list[str] | None, typer.Option(help="Only this day; may be given several times.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Checksums only: read no file, build no mart again.")] = False,
    head: Annotated[str | None, typer.Option(help="End of the chain that was noted before.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON.")] = False,
) -> None:
    """Compute again what was certified, from the files up, and say exactly what differs.

    Files against their sha256, lake and raw against the files read again, marts built again beside the real ones,
    published rows against their checksums, ledgers against certificates, certificates against their names, the chain.

    Exit status: 0 all is as certified, 2 something differs.
    """
    from voiceai_assets.cli.governance import verify_days

    days = [_day(one) for one in day or []]
    raise typer.Exit(verify_days(_pipeline(), days, console, is_quick=quick, head=head, as_json=as_json))


@app.command()
def trace(
    mart: Annotated[str | None, typer.Argument(help="A day mart, such as agg_sessions_daily.")] = None,
    day: Annotated[str | None, typer.Argument(help="YYYY-MM-DD.")] = None,
    metric: Annotated[str | None, typer.Option(help="Only this metric of the catalogue.")] = None,
    file: Annotated[str | None, typer.Option(help="The other way: everything that a file touches.")] = None,
    session: Annotated[str | None, typer.Option(help="File and line of each turn of a session.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Follow a number to its certificate, checks, loads, files and lines; or a file to every number it touches.

    Examples: `voiceai trace fact_voice_ai_sessions 2026-08-01 --metric completion`, `voiceai trace --file export.csv`
    """
    from voiceai_assets.cli import governance as command

    if file is not None:
        raise typer.Exit(command.trace_a_file(_pipeline(), file, console, errors, as_json=as_json))
    if session is not None:
        raise typer.Exit(command.trace_a_session(_pipeline(), session, console, errors, as_json=as_json))
    if mart is None or day is None:
        raise typer.BadParameter("name a mart and a day, or --file PATH, or --session ID")
    found = command.trace_a_number(_pipeline(), mart, _day(day), metric, console, errors, as_json=as_json)
    raise typer.Exit(found)


@app.command()
def report(
    first: Annotated[str | None, typer.Option("--from", help="First day; the first known one by default.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day; the last known one by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; HOME/reports/FROM_TO by default.")] = None,
    data_docs: Annotated[bool, typer.Option("--data-docs", help="Great Expectations' own pages as well.")] = False,
) -> None:
    """Write what an auditor is handed: one printable HTML page, JSON and CSV.

    Coverage of certification, failures and time to mend, warnings, contradictions, quarantine, restatements, erasures,
    freshness and the days that wait for somebody.
    """
    from voiceai_assets.cli.governance import write_report

    days = [_day(day) if day else None for day in (first, last)]
    raise typer.Exit(write_report(_pipeline(), days[0], days[1], out, console, with_docs=data_docs))


@app.command()
def rotate_key() -> None:
    """Give every pseudonym a new key: lake, tables, kept versions, tombstones, all at once for those who read.

    People stay who they are, counts and figures do not change. Waits for runs that are under way. Can be interrupted:
    then everything is under the old key or the new one, and the same command goes on.
    """
    from voiceai_assets.cli import privacy

    raise typer.Exit(privacy.rotate_key(_pipeline(), console))


@app.command()
def train() -> None:
    """Train the abandonment model on all certified days.

    It becomes champion if its criteria hold and it is better than the champion, where there is one.

    Exit status: 0 trained, 2 refused by its criteria (the champion stays), 1 something failed.
    """
    from voiceai_assets.cli.models import verdict_of_training
    from voiceai_assets.models.abandonment.certified import NO_DAY_YET
    from voiceai_assets.models.abandonment.registry import Registry
    from voiceai_assets.runs import run_training

    pipeline = _pipeline()
    with pipeline.warehouse.connect() as connection:
        if not connection.execute("select from governance.publications where is_live limit 1").fetchall():
            errors.print(f"[red]error:[/] {NO_DAY_YET}")
            raise typer.Exit(_FAILED)
    with console.status("training the abandonment model on certified days"):
        outcome = run_training(pipeline)
    for failure in outcome.failures:
        errors.print(f"[red]{failure}[/]")
    if not outcome.failures:
        colour = "green" if outcome.success else "yellow"
        console.print(f"[{colour}]trained[/]: {verdict_of_training(Registry(pipeline.settings.models))}")
        console.print(f"its card.md lies below {pipeline.settings.models}; `voiceai models list` compares versions")
    raise typer.Exit(_FAILED if outcome.failures else 0 if outcome.success else _BLOCKED)


models = typer.Typer(help="Versions of the abandonment model: list, promote, rollback.", no_args_is_help=True)
app.add_typer(models, name="models")


@models.command("list")
def models_list() -> None:
    """Every version, the champion first, with what its criteria found."""
    from voiceai_assets.cli import models as command
    from voiceai_assets.models.abandonment.registry import Registry

    raise typer.Exit(command.show(Registry(load_settings().models), console))


@models.command("promote")
def models_promote(
    version: Annotated[str, typer.Argument(help="As `voiceai models list` names it.")],
    force: Annotated[bool, typer.Option("--force", help="Although its criteria refused it.")] = False,
) -> None:
    """Make a version the champion; the scoring service picks it up within a second."""
    from voiceai_assets.cli import models as command
    from voiceai_assets.models.abandonment.registry import Registry

    registry = Registry(load_settings().models)
    raise typer.Exit(command.promote(registry, version, console, errors, is_forced=force))


@models.command("rollback")
def models_rollback() -> None:
    """Make the champion before this one the champion again."""
    from voiceai_assets.cli import models as command
    from voiceai_assets.models.abandonment.registry import Registry

    raise typer.Exit(command.rollback(Registry(load_settings().models), console, errors))


@app.command(name="serve-model")
def serve_model() -> None:
    """Serve the champion's scores over HTTP: POST /score and /score/batch, GET /health, the manual under /docs.

    A promotion or rollback is picked up within a second, without dropping a request.
    """
    from voiceai_assets.models.abandonment.registry import Registry
    from voiceai_assets.scoring.service import serve

    settings = load_settings()
    console.print(f"scores on http://{settings.bind_host}:{settings.scoring_port}/docs (Ctrl-C stops them)")
    serve(Registry(settings.models), settings.bind_host, settings.scoring_port)


@app.command()
def dashboard() -> None:
    """Serve the dashboards alone, connected as bi_reader."""
    from voiceai_assets.dashboard.app import serve

    settings = load_settings()
    console.print(f"dashboards on {settings.dashboard_url} (Ctrl-C stops them)")
    serve(settings)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(
    context: typer.Context,
    reader: Annotated[
        bool, typer.Option("--reader", help="Connect as bi_reader instead of the pipeline's role.")
    ] = False,
) -> None:
    """Open psql on the warehouse; arguments after -- are psql's own.

    Example: `voiceai psql -- -c 'select * from certified.day_status'`
    """
    from voiceai_assets.cli.tools import psql_program, run_program

    pipeline = _pipeline()
    address = pipeline.warehouse.reader if reader else pipeline.warehouse.owner
    raise typer.Exit(run_program([psql_program(), *context.args], address.libpq_environment()))


@app.command(name="exec", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def exec_(context: typer.Context) -> None:
    """Run a program with the platform's environment: Dagster's instance, dbt's connection, the server running.

    Examples: `voiceai exec -- dagster dev -w workspace.yaml`, `voiceai exec -- dbt docs generate`
    """
    from voiceai_assets.cli.tools import run_program
    from voiceai_assets.instance import prepare_instance
    from voiceai_assets.versions import DBT_PROJECT

    if not context.args:
        raise typer.BadParameter("name a program after --")
    pipeline = _pipeline()
    folders = {
        "DBT_PROJECT_DIR": str(DBT_PROJECT),
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        "DBT_TARGET_PATH": str(pipeline.settings.dbt_target),
        "DBT_LOG_PATH": str(pipeline.settings.home / "logs"),
    }
    environment = {**prepare_instance(pipeline), **pipeline.dbt_environment(), **folders}
    raise typer.Exit(run_program(list(context.args), environment))


@app.command()
def docs() -> None:
    """Write the site of dbt's documentation, one file with every model, column and their lineage.

    It says what columns the warehouse has now, so run a day first. The site is HOME/docs/index.html.
    """
    from voiceai_assets.cli.tools import write_docs

    console.print(f"written: {write_docs(_pipeline())}")


@app.command()
def doctor() -> None:
    """Check this installation and say what to do about what is wrong."""
    from voiceai_assets.cli.tools import examine

    raise typer.Exit(examine(load_settings(), console))


def _pipeline() -> Pipeline:
    from voiceai_assets.pipeline import Pipeline  # --help must not wait for DuckDB and Great Expectations

    return Pipeline.open(load_settings())


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write YYYY-MM-DD") from None


def main() -> None:
    """Entry point: errors that a person can act on are one line, everything else keeps its traceback."""
    try:
        app()
    except (SettingsError, WarehouseError, StoreError) as error:
        errors.print(f"[red]error:[/] {error}")
        sys.exit(_FAILED)
    except (KeyboardInterrupt, SystemExit, RuntimeError) as error:
        if not _was_stopped(error):
            raise
        errors.print("stopped; nothing half done is visible, run the same command again to go on")
        sys.exit(_STOPPED)


def _was_stopped(error: BaseException) -> bool:
    """Whether Ctrl-C is behind it; typer makes an exit of that without a word."""
    cause = getattr(error.__context__, "__cause__", None)
    return is_stop(error) or (isinstance(error, SystemExit) and cause is not None and is_stop(cause))
