{{ config(materialized='day_replace', day_column='session_date', partitioned=false) }}

-- depends_on: {{ ref('metrics') }}
-- What pages over long periods read instead of sessions: 200 rows a day, whatever its size. The definitions are the
-- catalogue's; a test holds the columns to it.
select
    session_date,
    {{ user_bucket() }} as user_bucket,
    count(*) as session_count,
    count(*) filter (where final_outcome = 'in_progress') as in_progress_session_count,
    {{ metric_sums() }}
    min(load_id collate "C") as load_id
from {{ ref('fact_voice_ai_sessions') }}
where session_date between {{ window_start() }} and {{ window_end() }}
group by session_date, user_bucket
