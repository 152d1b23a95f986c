"""``voiceai quarantine``: look at refused records, take them out as they arrived, put corrected ones back.

Belongs here: words, tables and files of the command. Does not belong here: records in files (``lake.mending``).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from voiceai_assets.lake.indexing import sha256_of
from voiceai_assets.lake.mending import CannotMendError, copy_name, mend, texts_of
from voiceai_assets.lake.remote import StoreError
from voiceai_assets.lake.storing import change_file
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.warehouse import ledger

_QUERY = """
select day::text, dataset, file, line, reason, message, raw_text, f.sha256 as file_sha256
from governance.quarantine left join governance.load_files as f using (dataset, day, file)
where day between coalesce(%(first)s::date, day) and coalesce(%(last)s::date, day)
and reason = coalesce(%(reason)s, reason) and file = coalesce(%(file)s, file)
order by day, file, line
"""
_EXPORTED = ("day", "dataset", "file", "file_sha256", "line", "reason", "message")


def refused(
    pipeline: Pipeline, first: str | None, last: str | None, reason: str | None, file: str | None
) -> list[dict[str, Any]]:
    """Refused records of the days as they were last loaded; texts are redacted."""
    chosen = {"first": first, "last": last, "reason": reason, "file": file}
    with pipeline.warehouse.connect() as connection:
        return ledger.rows(connection, _QUERY, chosen)


def show(records: list[dict[str, Any]], limit: int, console: Console) -> int:
    """A table of the records and a count by reason; returns the exit status."""
    if not records:
        console.print("nothing is in quarantine")
        return 0
    table = Table("day", "file", "line", "reason", "message", "record (redacted)", box=None, header_style="bold")
    for record in records[:limit]:
        text = (record["raw_text"] or "").strip()
        cells = (record["day"], record["file"], str(record["line"]), record["reason"], record["message"], text[:120])
        table.add_row(*map(escape, cells))
    console.print(table)
    if len(records) > limit:
        console.print(f"... and {len(records) - limit:,} more; --limit shows them")
    reasons = Counter(record["reason"] for record in records)
    console.print(f"{len(records):,} refused: " + ", ".join(f"{n:,} {reason}" for reason, n in reasons.most_common()))
    console.print("next: voiceai quarantine --export FILE, correct it, voiceai quarantine --mend FILE")
    return 0


def export(pipeline: Pipeline, records: list[dict[str, Any]], target: Path, console: Console) -> int:
    """Write the records as they arrived, one JSON object per line; readable by the owner alone.

    Only from files that still are as they were loaded: the ledger's lines are those of the loaded file, and in another
    one good records may lie on them. Its checksum goes along, and ``put_back`` compares it.
    """
    by_file: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_file.setdefault(record["file"], []).append(record)
    written = 0
    unread: Counter[str] = Counter()
    draft = target.with_name(f".{target.name}.part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        for file, found in by_file.items():
            path = pipeline.settings.landing / file
            sha256 = sha256_of(path) if path.exists() else None
            loaded = [record for record in found if record["file_sha256"] == sha256]
            texts = texts_of(path, {record["line"] for record in loaded}) if loaded else {}
            if missed := len({record["line"] for record in found} - texts.keys()):
                unread[file] = missed
            for record in loaded:
                # once: a call may be refused as a call and as each of its turns, and of two corrections one is lost
                if (text := texts.pop(record["line"], None)) is not None:
                    kept = {key: record[key] for key in _EXPORTED}
                    out.write(json.dumps({**kept, "record": text}, ensure_ascii=False) + "\n")
                    written += 1
    draft.replace(target)
    console.print(f"{written:,} record(s) in {target}, as they arrived: [yellow]they may hold personal data[/]")
    for file, missed in unread.items():
        console.print(
            f"[yellow]not exported:[/] {missed:,} record(s) of {escape(file)}: it is gone, has changed since it was "
            "loaded (run its days), or is of a format whose records are not replaced singly (land it again, corrected)"
        )
    console.print(f'correct "record" in each line (empty removes it), then: voiceai quarantine --mend {target}')
    return 0


def put_back(pipeline: Pipeline, source: Path, console: Console, errors: Console) -> int:
    """Replace the records in their files and say which days to run; returns the exit status."""
    if store := pipeline.landing_store:
        store.pull()  # an object that was replaced meanwhile would be overwritten by its mended predecessor
    try:
        corrections = corrections_of(source)
    except (OSError, ValueError) as error:
        errors.print(f"[red]error:[/] {source}: {escape(str(error))}")
        return 1
    failed = False
    for (file, sha256), records in corrections.items():
        landing = pipeline.settings.landing.resolve()
        path = (landing / file).resolve()
        if not path.is_relative_to(landing) or not path.is_file():
            errors.print(f"[red]not mended:[/] {escape(file)} is not in landing")
            failed = True
            continue
        kept = pipeline.settings.home / "replaced" / copy_name(path.name, sha256)
        put = partial(mend, records=records, kept=kept, sha256=sha256)
        try:
            change_file(landing, path.relative_to(landing).as_posix(), store, put)
        except CannotMendError as error:
            errors.print(f"[red]not mended:[/] {escape(str(error))}")
            failed = True
            continue
        except StoreError as error:
            errors.print(
                f"[red]not mended:[/] {escape(file)}: the store does not take it ({escape(str(error))}); here it is as "
                "it was. Run the same command again"
            )
            failed = True
            continue
        console.print(f"mended {len(records):,} record(s) of {escape(file)}")
    found = pipeline.look_into_landing(quiet_seconds=0)
    days = sorted({day for f in found.fresh for day in f.days})
    if days:
        console.print(f"next: voiceai materialize --from {days[0]} --to {days[-1]}")
    return 1 if failed else 0


def corrections_of(export: Path) -> dict[tuple[str, str], dict[int, str]]:
    """Corrections by file and its checksum; a file is there once.

    Raises:
        OSError: when the export cannot be read.
        ValueError: for a line that is no exported record, and for exports that do not go together.
    """
    corrections: dict[tuple[str, str], dict[int, str]] = {}
    exported: dict[str, str] = {}
    for number, line in enumerate(export.read_text().split("\n"), start=1):  # splitlines() would cut records, too
        if not line.strip():
            continue
        try:
            found = json.loads(line)
            file, place, record = str(found["file"]), int(found["line"]), found["record"]
            if not isinstance(record, str):
                raise TypeError("its record is no text")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"line {number} is no exported record ({error})") from error
        if not (sha256 := found.get("file_sha256")):  # older versions did not write it
            raise ValueError(f"line {number} does not say what its file was (file_sha256): export again")
        if exported.setdefault(file, str(sha256)) != sha256:
            raise ValueError(f"line {number} is of another export of {file} than the lines before: mend one of them")
        corrections.setdefault((file, sha256), {})[place] = record
    return corrections
