select
    metric,
    version,
    area,
    label,
    definition,
    relation,
    numerator,
    denominator,
    counts,
    unit,
    better,
    is_headline,
    rests_on,
    owner
from {{ ref('metrics') }}
