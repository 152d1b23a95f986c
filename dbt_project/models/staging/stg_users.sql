select
    snapshot_date,
    user_id,
    source,
    region,
    disability,
    is_first_time_digital_user,
    language,
    registered_at
from {{ source('raw', 'users') }}
