"""Our own format: columns or keys are the fields of a contract.

Belongs here: which files hold which dataset. Does not belong here: types, ranges, duplicates (``lake``).
"""

from __future__ import annotations

from voiceai_assets.adapters.base import Adapter, Table
from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.fields import Contract, Field, Kind
from voiceai_assets.contracts.turns import TURNS

_JSON_KINDS = (Kind.TEXT_LIST, Kind.JSON)


def _value(field: Field) -> str:
    names = [f's."{name}"' for name in field.names]
    return f"coalesce({', '.join(names)})" if len(names) > 1 else names[0]


def _table(files: str, contract: Contract) -> Table:
    return Table(
        files=files,
        contract=contract,
        mapping={field.name: _value(field) for field in contract.fields},
        # an alias stands for its field, so only fields without one can be missed by name
        required=tuple(f.name for f in contract.fields if f.required and not f.aliases),
        json=tuple(name for f in contract.fields if f.kind in _JSON_KINDS for name in f.names),
    )


ADAPTER = Adapter(
    name="canonical",
    version="2",
    doc="The platform's own format: turns anywhere below the folder, any other dataset in a folder of its name.",
    tables=(
        *(_table(f"{name}/*", contract) for name, contract in DATASETS.items() if contract is not TURNS),
        _table("*", TURNS),
    ),
)
