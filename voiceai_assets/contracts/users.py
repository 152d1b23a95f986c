"""Users: who the callers are, as a list that the source exports.

Belongs here: attributes of a person that hold beyond one session. Does not belong here: what they did.
"""

from __future__ import annotations

from voiceai_assets.contracts.fields import EXTRA, Contract, Field, Kind

USERS = Contract(
    dataset="users",
    grain="one row per user and export of the list",
    fields=(
        Field("user_id", Kind.TEXT, "keyed pseudonym of the user", required=True, person=True),
        Field("region", Kind.TEXT, "where the user lives: rural, urban, or a name"),
        Field("disability", Kind.TEXT, "declared disability; yes or no where the source says no more"),
        Field("is_first_time_digital_user", Kind.BOOLEAN, "had used no digital service before"),
        Field("language", Kind.TEXT, "preferred language"),
        Field("registered_at", Kind.INSTANT, "when the user was registered"),
        EXTRA,
    ),
    identity=("user_id",),
    day_column="snapshot_date",
    time_field=None,
)
