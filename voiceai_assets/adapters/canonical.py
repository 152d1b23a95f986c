"""Our own format: one JSON object per line whose keys are the fields of the turn contract.

Belongs here: JSON lines to contract fields. Does not belong here: types, ranges, duplicates (``lake.refine``).
"""

from __future__ import annotations

import json

from voiceai_assets.adapters.base import Adapter
from voiceai_assets.adapters.lines import line_blocks
from voiceai_assets.contracts.fields import Kind
from voiceai_assets.contracts.turns import TURNS

_IS_OBJECT = "starts_with(ltrim(text), '{')"
_KEYS = f"CASE WHEN {_IS_OBJECT} THEN TRY(json_keys(text)) END"
_JSON_KINDS = (Kind.TEXT_LIST, Kind.JSON)


def _record_sql() -> str:
    shape = {name: "JSON" if field.kind in _JSON_KINDS else "VARCHAR" for field in TURNS.fields for name in field.names}
    # TRY instead of json_valid in front: one parse of the text instead of two
    return f"CASE WHEN {_IS_OBJECT} THEN TRY(json_transform(text, '{json.dumps(shape)}')) END"


def _unknown_sql() -> str:
    known = sorted(TURNS.known_keys)
    names = ", ".join(f"'{name}'" for name in known)
    # a merge patch (RFC 7396) whose members are null deletes those members: what stays is what we do not know
    erase = json.dumps(dict.fromkeys(known))
    return (
        f"CASE WHEN len(list_filter({_KEYS}, lambda key: key NOT IN ({names}))) > 0 "
        f"THEN json_merge_patch(text, '{erase}') END"
    )


ADAPTER = Adapter(
    name="canonical",
    version="1",
    suffixes=(".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".jsonl.zst", ".ndjson.zst"),
    blocks=line_blocks,
    record_sql=_record_sql(),
    keys_sql=_KEYS,
    unknown_sql=_unknown_sql(),
    timestamp_sql="TRY(json_extract_string(text, '$.timestamp'))",
)
