"""``python -m voiceai_assets.contracts``: write what follows from the contracts, the dbt source and the documentation.

Belongs here: contracts as text. Does not belong here: contracts. A test holds the committed files to what this gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.fields import Contract, Field
from voiceai_assets.settings import REPOSITORY

_HEADER = "# Written by `python -m voiceai_assets.contracts`: change the contract, not this file.\n"
_INTRODUCTION = (
    "What the rows of each dataset are. Emitters send the fields; the platform adds the columns below the line. A "
    "record without a required field, or with one of the wrong type, goes to quarantine; an optional field of the "
    "wrong type becomes null, is named in `invalid_fields`, and its value is kept in `extra` under `_invalid`. Keys "
    "that the contract does not know are kept in `extra`."
)
#: When a source reads late: a day and the night's run after it. Other datasets may rest for months.
_FRESHNESS = {
    "loaded_at_query": "select max(loaded_at) from governance.loads where dataset = 'turns' and is_live",
    "freshness": {"warn_after": {"count": 30, "period": "hour"}, "error_after": {"count": 48, "period": "hour"}},
}
SOURCES = REPOSITORY / "dbt_project" / "models" / "staging" / "raw_sources.yml"
DOCUMENT = REPOSITORY / "docs" / "contracts.md"


def dbt_sources() -> str:
    """The dbt source ``raw``, one table per contract."""
    tables = [
        {
            "name": contract.dataset,
            "description": f"Grain: {contract.grain}.",
            "meta": {"dagster": {"asset_key": ["raw", contract.dataset]}},
            **({"config": _FRESHNESS} if contract.dataset == "turns" else {}),
            "columns": [{"name": f.name, "description": f.doc, "data_type": f.kind.postgres} for f in contract.columns],
        }
        for contract in DATASETS.values()
    ]
    session_days = {
        "name": "session_days",
        "description": "Grain: one row per day and session with a turn on it. Finds sessions that cross midnight.",
        "meta": {"dagster": {"asset_key": ["raw", "turns"]}},
    }
    source = {
        "name": "raw",
        "description": "Typed rows as loaded from the lake, one partition per day, replaced atomically.",
        "tables": [*tables, session_days],
    }
    return _HEADER + yaml.safe_dump({"version": 2, "sources": [source]}, sort_keys=False, width=116, allow_unicode=True)


def document() -> str:
    """All contracts as Markdown."""
    parts = [
        "# Contracts",
        "<!-- written by `python -m voiceai_assets.contracts` -->",
        _INTRODUCTION,
    ]
    for contract in DATASETS.values():
        parts += [f"## {contract.dataset}", _about(contract), _table(contract)]
    return "\n\n".join(parts) + "\n"


def _about(contract: Contract) -> str:
    identity = ", ".join(part.replace("|", " (else ") + (")" if "|" in part else "") for part in contract.identity)
    day = f"of `{contract.time_field}`" if contract.time_field else "its file or its session says"
    return (
        f"Grain: {contract.grain}. Identity: source, {identity}. "
        f"Filed under `{contract.day_column}`, the day {day}, in the source's zone."
    )


def _table(contract: Contract) -> str:
    lines = ["| field | type | meaning |", "|---|---|---|"]
    lines += [f"| `{f.name}` | {f.kind.postgres} | {_meaning(f)} |" for f in contract.fields]
    lines += ["| | | *added by the platform* |"]
    lines += [f"| `{f.name}` | {f.kind.postgres} | {f.doc} |" for f in contract.lineage]
    return "\n".join(lines)


def _meaning(field: Field) -> str:
    notes = [
        "**required**" if field.required else "",
        f"default `{field.default}`" if field.default else "",
        f"one of {', '.join(f'`{c}`' for c in field.choices)}" if field.choices else "",
        f"also sent as {', '.join(f'`{a}`' for a in field.aliases)}" if field.aliases else "",
        "redacted" if field.free_text or field.is_label else "",
    ]
    return "; ".join([field.doc, *filter(None, notes)])


def generated() -> Mapping[Path, str]:
    """File -> what it must hold."""
    return {SOURCES: dbt_sources(), DOCUMENT: document()}


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text)
        print(f"wrote {path.relative_to(REPOSITORY)}")
