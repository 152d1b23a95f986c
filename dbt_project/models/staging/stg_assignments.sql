select
    assigned_date,
    assignment_id,
    experiment_id,
    variant_id,
    unit_id as user_id,
    assigned_at,
    source
from {{ source('raw', 'assignments') }}
