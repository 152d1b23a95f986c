-- The brief's module_usage, with a pseudonym in place of the telephone number. A use is a session in which the user was
-- in the module.
select
    user_id,
    module,
    count(*) as usage_count,
    sum(turn_count)::bigint as turn_count,
    -- whole milliseconds first: a sum of floats depends on the order of its rows
    sum(round(duration_seconds * 1000)::bigint)::double precision / 1000 as total_duration_seconds,
    max(last_turn_at) as last_used_at
from {{ certified('user_sessions') }}
where user_id is not null and module is not null
group by user_id, module
