{{ config(materialized='day_replace', day_column='submitted_date', partitioned=false) }}

-- On the day it was submitted, whatever the day of its session: the load is that day's.
select
    applications.submitted_date,
    applications.application_id,
    applications.source,
    applications.session_id as origin_session_id,
    applications.user_id,
    applications.service_code,
    applications.channel,
    applications.status,
    applications.status = 'completed' as is_completed,
    applications.seconds_to_submit,
    applications.submitted_at,
    loads.load_id
from {{ ref('stg_applications') }} as applications
inner join {{ source('governance', 'loads') }} as loads
    on
        applications.submitted_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
where applications.submitted_date between {{ window_start() }} and {{ window_end() }}
