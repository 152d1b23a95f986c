"""What a dbt project must keep to, as functions from a manifest to violations.

Belongs here: the rules of dbt's project evaluator that make sense of this project, and those of SCALE.md
that a text can show. (The evaluator itself is a package that dbt downloads from a hub, and needs a database.)
Does not belong here: whether the figures are right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Node = Mapping[str, Any]
Manifest = Mapping[str, Any]

#: Layer -> what its models may read. Views over days read marts through the `certified` macro, which a test of
#: test_project_is_of_one_piece.py holds them to.
_MAY_READ = {
    "staging": {"raw"},
    "intermediate": {"staging", "intermediate", "reference", "governance", "session index"},
    "marts": {"staging", "intermediate", "marts", "reference", "governance"},
    "certified": {"marts", "certified", "reference"},
    "exp": {"marts", "certified", "exp", "reference"},
}
_SCHEMAS = "raw|staging|intermediate|marts|published|certified|exp|reference|governance"
_PREFIXES = {"staging": "stg_", "intermediate": "int_"}
#: Which session has turns on which days: an index that loading keeps beside raw.turns, with nothing to rename or type.
_SESSION_INDEX = "source.voiceai.raw.session_days"


def models(manifest: Manifest) -> list[Node]:
    """Models of the project."""
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def layer(node: Node) -> str:
    """First folder below ``models``; seeds are ``reference``, sources are called as they are."""
    if node["resource_type"] == "seed":
        return "reference"
    if node["resource_type"] == "source":
        return "session index" if node["unique_id"] == _SESSION_INDEX else str(node["source_name"])
    return str(node["fqn"][1])


def layers_are_kept(manifest: Manifest) -> Iterator[str]:
    """A model reads what its layer may read: raw only through staging, nothing downstream of itself."""
    nodes = {**manifest["nodes"], **manifest["sources"]}
    for model in models(manifest):
        for parent in model["depends_on"]["nodes"]:
            if layer(nodes[parent]) not in _MAY_READ[layer(model)]:
                yield f"{model['name']} ({layer(model)}) reads {nodes[parent]['name']} ({layer(nodes[parent])})"


def staging_is_one_to_one(manifest: Manifest) -> Iterator[str]:
    """A staging model reads one source, so that joins are found where they are looked for."""
    for model in models(manifest):
        if layer(model) == "staging" and len(model["depends_on"]["nodes"]) != 1:
            yield f"{model['name']} reads {len(model['depends_on']['nodes'])} relations"


def names_say_the_layer(manifest: Manifest) -> Iterator[str]:
    """``stg_`` lies in staging and nowhere else, likewise ``int_``."""
    for model in models(manifest):
        for folder, prefix in _PREFIXES.items():
            if model["name"].startswith(prefix) != (layer(model) == folder):
                yield f"{model['name']} lies in {layer(model)}"


def everything_is_described(manifest: Manifest) -> Iterator[str]:
    """Models, their columns, seeds and sources have descriptions; models state their grain."""
    for node in [*manifest["nodes"].values(), *manifest["sources"].values()]:
        if node["resource_type"] not in {"model", "seed", "source"}:
            continue
        if not node["description"]:
            yield f"{node['name']} has no description"
        if node["resource_type"] == "model" and "Grain:" not in node["description"]:
            yield f"{node['name']} does not state its grain"
        yield from (
            f"{node['name']}.{name} has no description"
            for name, column in node["columns"].items()
            if not column["description"]
        )


def everything_is_used(manifest: Manifest) -> Iterator[str]:
    """A source, seed, staging or intermediate model that nothing reads is dead."""
    for name, node in {**manifest["nodes"], **manifest["sources"]}.items():
        if node["resource_type"] not in {"model", "seed", "source"} or layer(node) in {"marts", "certified", "exp"}:
            continue
        if not manifest["child_map"].get(name):
            yield f"{node['name']} is read by nothing"


def what_others_read_keeps_a_contract(manifest: Manifest) -> Iterator[str]:
    """The shape of a mart and of a view over days is promised and enforced, and so is what makes a row unique."""
    for model in models(manifest):
        if layer(model) not in _READ_BY_OTHERS:
            continue
        if not model["config"]["contract"]["enforced"]:
            yield f"{model['name']} has no enforced contract"
        grain = model["config"]["meta"].get("grain")
        if not grain or not set(grain) <= set(model["columns"]):
            yield f"{model['name']}: meta.grain does not name the columns that make a row unique"


def relations_are_referred_to(manifest: Manifest) -> Iterator[str]:
    """Every relation stands as ref, source or certified: one that is written out has no lineage and no order."""
    for model in models(manifest):
        text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", _without_comments(model["raw_code"]), flags=re.DOTALL)
        for name in re.findall(rf"\b(?:from|join)\s+((?:{_SCHEMAS})\.\w+)", text, re.IGNORECASE):
            yield f"{model['name']} names {name} itself"
        if not model["depends_on"]["nodes"]:
            yield f"{model['name']} reads nothing"


def exposures_read_what_is_published(manifest: Manifest) -> Iterator[str]:
    """A dashboard names its owner and what it reads, and reads nothing that has not passed the gate."""
    for exposure in manifest["exposures"].values():
        if not exposure["depends_on"]["nodes"]:
            yield f"exposure {exposure['name']} reads nothing"
        if not exposure["owner"].get("email"):
            yield f"exposure {exposure['name']} has no owner"
        for parent in exposure["depends_on"]["nodes"]:
            if layer(manifest["nodes"][parent]) not in {"marts", "certified", "exp"}:
                yield f"exposure {exposure['name']} reads {parent}"


_FORBIDDEN = {
    r"\bgrouping\s+sets\b|\brollup\b|\bcube\s*\(": "GROUPING SETS and ROLLUP fail on distributed tables",
    r"\bwith\s+recursive\b": "recursive CTEs fail without a distribution key",
    r"\bmerge\s+into\b": "MERGE is refused by distributed tables",
    r"\bcreate\s+(temp|temporary)\b": "no temporary tables for facts",
    r"\bcreate\s+(or\s+replace\s+)?trigger\b": "triggers fail on distributed tables",
    r"\b(random|clock_timestamp|timeofday|gen_random_uuid)\s*\(": "a day must give the same bytes again",
    r"\b(hll|approx|tdigest)\w*\s*\(": "no sketch in a published figure",
    r"\bdetach\s+partition\b[^;]*\bconcurrently\b": "no DETACH CONCURRENTLY",
    r"\bpercentile_cont\s*\(": "percentiles come from counts of whole milliseconds",
}
#: Where floats may be averaged: what is computed when somebody asks and stored nowhere.
_COMPUTED_WHEN_ASKED = {"certified", "exp"}
_READ_BY_OTHERS = {"marts", *_COMPUTED_WHEN_ASKED}
_KEYS = ("session_id", "session_date", "event_date", "turn_date", "call_date")


def sql_scales(manifest: Manifest) -> Iterator[str]:
    """Rules 4 to 8 of SCALE.md: what a distributed PostgreSQL would refuse, or answer differently."""
    for model in models(manifest):
        text = _without_comments(model["raw_code"])
        yield from (
            f"{model['name']}: {why}" for pattern, why in _FORBIDDEN.items() if re.search(pattern, text, re.IGNORECASE)
        )
        if layer(model) in _COMPUTED_WHEN_ASKED:
            continue
        if re.search(r"\bavg\s*\(", text, re.IGNORECASE):
            yield f"{model['name']}: averages floats; use exact_avg, or publish sums"
        for window in re.findall(r"\bover\s*\(([^)]*)", text, re.IGNORECASE):
            partition = re.search(r"partition\s+by(.*?)(?:\border\s+by\b|$)", window, re.IGNORECASE | re.DOTALL)
            if not partition or not any(key in partition[1] for key in _KEYS):
                yield f"{model['name']}: a window is partitioned by neither session nor day"
        is_a_log = model["config"].get("incremental_strategy") == "append"  # of when something became known
        if not is_a_log and re.search(
            r"\b(current_(timestamp|date|time)|local_?timestamp|now\s*\()", text, re.IGNORECASE
        ):
            yield f"{model['name']}: reads the clock; a day must give the same bytes again"


def facts_have_day_and_session_in_their_key(manifest: Manifest) -> Iterator[str]:
    """Rule 1 of SCALE.md: every key of a table with sessions holds the session and the day."""
    for model in models(manifest):
        for constraint in model["constraints"]:
            if constraint["type"] in {"primary_key", "unique"} and "session_id" in model["columns"]:
                day = model["config"]["meta"].get("day_column")
                if not {"session_id", day} <= set(constraint["columns"]):
                    yield f"{model['name']}: key {constraint['columns']} lacks the session or {day}"


def only_days_are_replaced(manifest: Manifest) -> Iterator[str]:
    """Rule 5 of SCALE.md: a table is written by replacing days, or by appending."""
    for model in models(manifest):
        how, strategy = model["config"]["materialized"], model["config"].get("incremental_strategy")
        if how not in {"day_replace", "view", "ephemeral"} and (how, strategy) != ("incremental", "append"):
            yield f"{model['name']} is materialised as {how} {strategy or ''}".rstrip()


RULES = (
    layers_are_kept,
    staging_is_one_to_one,
    names_say_the_layer,
    everything_is_described,
    everything_is_used,
    what_others_read_keeps_a_contract,
    relations_are_referred_to,
    exposures_read_what_is_published,
    sql_scales,
    facts_have_day_and_session_in_their_key,
    only_days_are_replaced,
)


def _without_comments(sql: str) -> str:
    return re.sub(r"\{#.*?#\}|/\*.*?\*/|--[^\n]*", "", sql, flags=re.DOTALL)
