select
    metric,
    version,
    area,
    label,
    definition,
    relation,
    grain,
    numerator,
    denominator,
    counts,
    unit,
    better,
    is_headline,
    rests_on,
    owner
from {{ ref('metrics') }}
