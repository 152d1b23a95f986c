select
    submitted_date,
    application_id,
    session_id,
    user_id,
    source,
    service_code,
    channel,
    status,
    seconds_to_submit,
    submitted_at
from {{ source('raw', 'applications') }}
