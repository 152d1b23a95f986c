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
    owner
from {{ ref('metrics') }}
