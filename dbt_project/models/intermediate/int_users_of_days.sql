{{ config(materialized='ephemeral') }}

-- The user list that holds for a session day: the latest export until then, else the earliest after it. So a day does
-- not change when a newer list arrives, and a list that came late still says who called.
with

lists as (
    select distinct
        split_part(files.file, '/', 1) as source,
        files.day as snapshot_date
    from {{ source('governance', 'load_files') }} as files
    where files.dataset = 'users' and files.rows_loaded > 0
),

choices as (
    select distinct on (days.day, lists.source)
        days.day as session_date,
        lists.source,
        lists.snapshot_date
    from {{ source('governance', 'loads') }} as days
    cross join lists
    where
        days.dataset = 'marts'
        and days.is_live
        and days.day between {{ window_start() }} and {{ window_end() }}
    order by
        days.day,
        lists.source,
        lists.snapshot_date > days.day,
        abs(lists.snapshot_date - days.day)
)

select
    choices.session_date,
    users.source,
    users.user_id,
    users.region,
    users.disability,
    users.language,
    users.is_first_time_digital_user
from choices
inner join {{ ref('stg_users') }} as users
    on choices.source = users.source and choices.snapshot_date = users.snapshot_date
