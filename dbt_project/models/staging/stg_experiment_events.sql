with

events as (
    select
        *,
        {{ event_experiments('experiments') }} as named_experiments
    from {{ source('raw', 'experiment_events') }}
)

select
    event_date,
    id as event_id,
    event_type,
    unit_id as user_id,
    timestamp as event_at,
    source,
    source_file,
    source_line,
    {{ json_session_id('context', 'session_id') }} as session_id,
    {{ json_id('context', 'flow_id') }} as flow_id,
    {{ json_id('context', 'flow_version') }} as flow_version,
    {{ json_code('context', 'current_state') }} as current_state,
    {{ json_code('context', 'last_active_state') }} as last_active_state,
    {{ json_code('context', 'final_state') }} as final_state,
    coalesce({{ json_code('payload', 'drop_off_reason') }}, {{ json_code('context', 'drop_off_reason') }})
        as drop_off_reason,
    {{ json_id('(named_experiments -> 0)', 'experiment_id') }} as experiment_id,
    {{ json_id('(named_experiments -> 0)', 'variant_id') }} as variant_id,
    {{ json_integer('metrics', 'turn_number') }} as turn_number,
    {{ json_integer('metrics', 'total_turns') }} as total_turns,
    {{ json_number('metrics', 'total_duration_seconds') }} as total_duration_seconds,
    {{ json_number('metrics', 'time_since_last_message_seconds') }} as seconds_since_last_message,
    {{ json_number('metrics', 'completion_rate') }} as completion_rate,
    coalesce({{ json_number('payload', 'progress') }}, {{ json_number('metrics', 'progress') }}) as progress,
    coalesce(
        {{ json_number('metrics', 'satisfaction_score') }},
        {{ json_number('payload', 'satisfaction_score') }},
        {{ json_number('metrics', 'csat') }}
    ) as satisfaction_score,
    round({{ json_number('metrics', 'latency_ms') }})::bigint as latency_ms,
    coalesce(
        {{ json_integer('metrics', 'token_count') }},
        {{ json_integer('metrics', 'tokens_in') }} + {{ json_integer('metrics', 'tokens_out') }}
    ) as token_count,
    coalesce({{ json_number('metrics', 'cost_usd') }}, {{ json_number('metrics', 'cost') }}) as cost_usd,
    {{ json_integer('metrics', 'edit_count') }} as edit_count,
    -- the kind of an event says it (suggestion_accepted), or a field of it does
    case
        when event_type ~ '(^|_)accepted$' then true
        when event_type ~ '(^|_)(rejected|declined|dismissed)$' then false
        else coalesce({{ json_boolean('metrics', 'accepted') }}, {{ json_boolean('payload', 'accepted') }})
    end as is_accepted,
    event_type ~ '(^|_)(offered|shown|presented)$' as is_offer
from events
