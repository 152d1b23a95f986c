{{ config(materialized='day_replace', day_column='assigned_date', partitioned=false) }}

select
    assignments.assigned_date,
    assignments.assignment_id,
    assignments.experiment_id,
    assignments.variant_id,
    assignments.user_id,
    assignments.assigned_at,
    assignments.source,
    loads.load_id
from {{ ref('stg_assignments') }} as assignments
inner join {{ source('governance', 'loads') }} as loads
    on
        assignments.assigned_date = loads.day
        and loads.dataset = 'marts'
        and loads.is_live
where assignments.assigned_date between {{ window_start() }} and {{ window_end() }}
