-- What the records of one source say against each other, counted. null: this pair of records could not show it, because
-- one of them is not there or has not ended. (Not left to `and`: false and null is false, which would count it.)
with

records as (
    select
        source,
        origin_session_id,
        user_id,
        channel,
        is_completed,
        submitted_at,
        count(*) over (partition by source, origin_session_id) as records_of_session
    from {{ certified('fact_applications') }}
    where origin_session_id is not null
),

sessions as (
    select
        source,
        session_id,
        user_id,
        channel,
        started_at,
        final_outcome
    from {{ certified('fact_voice_ai_sessions') }}
),

of_claims as (
    select
        claims.source,
        found.contradiction,
        count(*) filter (where found.holds) as found_count,
        count(*) filter (where found.holds is not null) as out_of
    from {{ certified('session_claims') }} as claims
    cross join
        lateral (
            values
            ('transferred without a transfer reason', final_outcome = 'transferred' and not has_transfer_reason),
            ('a transfer reason without a transfer', has_transfer_reason and final_outcome <> 'transferred'),
            (
                'escalation flag without a transfer',
                case when is_escalated is not null then is_escalated and final_outcome <> 'transferred' end
            ),
            (
                'a transfer without the escalation flag',
                case when is_escalated is not null then not is_escalated and final_outcome = 'transferred' end
            ),
            ('the record claims other turns than arrived', declared_turn_count <> turn_count),
            ('turn numbers repeat or skip', distinct_turn_number_count <> turn_count or last_turn_number <> turn_count)
        ) as found (contradiction, holds)
    group by claims.source, found.contradiction
),

of_records as (
    select
        records.source,
        found.contradiction,
        count(*) filter (where found.holds) as found_count,
        count(*) filter (where found.holds is not null) as out_of
    from records
    left join sessions on records.source = sessions.source and records.origin_session_id = sessions.session_id
    cross join
        lateral (
            values
            ('a business record of a session that is not there', sessions.session_id is null),
            ('a session with several business records', records.records_of_session > 1),
            ('the business record names another user than the session', records.user_id <> sessions.user_id),
            ('the business record names another channel than the session', records.channel <> sessions.channel),
            ('the business record is older than its session', records.submitted_at < sessions.started_at),
            (
                'the business record is completed, the session is not',
                case
                    when sessions.final_outcome <> 'in_progress'
                        then records.is_completed and sessions.final_outcome <> 'completed'
                end
            ),
            (
                'the session is completed, its business record is not',
                case
                    when sessions.final_outcome <> 'in_progress'
                        then not records.is_completed and sessions.final_outcome = 'completed'
                end
            )
        ) as found (contradiction, holds)
    group by records.source, found.contradiction
)

select
    source,
    contradiction,
    found_count,
    out_of
from of_claims
union all
select
    source,
    contradiction,
    found_count,
    out_of
from of_records
