{{ config(materialized='day_replace', day_column='snapshot_date', partitioned=false) }}

select
    users.snapshot_date,
    users.source,
    users.user_id,
    users.region,
    users.disability,
    users.language,
    users.is_first_time_digital_user,
    loads.load_id
from {{ ref('stg_users') }} as users
inner join {{ source('governance', 'loads') }} as loads
    on
        users.snapshot_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
where users.snapshot_date between {{ window_start() }} and {{ window_end() }}
