-- Every KPI that can be computed in more than one defensible way, in all of them. Nobody can say which way is right;
-- the spread says how much hangs on the choice, and beyond the limit the KPI is withheld.
with

-- The business record of a session: its last application. A session has at most one row here.
records as (
    select distinct on (source, origin_session_id)
        source,
        origin_session_id,
        user_id,
        channel,
        is_completed
    from {{ certified('fact_applications') }}
    where origin_session_id is not null
    order by source asc, origin_session_id asc, submitted_at desc, application_id collate "C"
),

persons as (
    select
        source,
        user_id,
        region,
        case when is_first_time_digital_user then 'first_time' else 'returning' end as user_type
    from {{ ref('dim_users') }}
    where is_current
),

sessions as (
    select
        claims.*,
        claims.final_outcome = 'completed' as is_completed,
        claims.final_outcome in ('completed', 'abandoned', 'transferred') as is_ended,
        records.origin_session_id is not null as has_business_record,
        records.is_completed as is_record_completed,
        records.channel as record_channel,
        applicants.region as applicant_region,
        applicants.user_type as applicant_type
    from {{ certified('session_claims') }} as claims
    left join records on claims.source = records.source and claims.session_id = records.origin_session_id
    left join persons as applicants on records.source = applicants.source and records.user_id = applicants.user_id
),

sums as (
    select
        source,
        count(*)::numeric as sessions,
        count(*) filter (where is_ended) as ended,
        count(*) filter (where is_completed) as completed,
        count(*) filter (where has_business_record) as recorded,
        count(*) filter (where is_record_completed) as record_completed,
        count(*) filter (where has_business_record and is_ended) as recorded_ended,
        count(*) filter (where has_business_record and is_completed) as recorded_completed,
        count(*) filter (where final_outcome = 'transferred') as transferred,
        count(*) filter (where has_transfer_reason) as with_transfer_reason,
        count(*) filter (where is_escalated) as escalated,
        count(*) filter (where is_escalated is not null) as with_escalation_flag,
        sum(turn_count) as turns,
        sum(declared_turn_count) as declared_turns,
        count(declared_turn_count) as with_declared_turns,
        sum(last_turn_number) as last_turn_numbers,
        sum(round(declared_duration_seconds * 1000)::bigint) / 1000 as declared_seconds,
        count(declared_duration_seconds) as with_declared_seconds,
        sum(round(spoken_seconds * 1000)::bigint) / 1000 as spoken_seconds,
        sum(round((user_asr_confidence * asr_turn_count)::numeric, 9)) as confidence_of_user_turns,
        sum(asr_turn_count) filter (where user_asr_confidence is not null) as confident_turns,
        sum(round(user_asr_confidence::numeric, 9)) as confidence_of_sessions,
        count(user_asr_confidence) as confident_sessions,
        sum(round(declared_asr_confidence::numeric, 9)) as declared_confidence,
        count(declared_asr_confidence) as with_declared_confidence,
        sum(error_turn_count) as error_turns,
        sum(round((declared_misunderstanding_rate + declared_silence_rate)::numeric, 9)) as declared_error_rates,
        count(declared_misunderstanding_rate + declared_silence_rate) as with_declared_error_rates,
        count(*) filter (where is_ended and lower(region) = 'rural') as rural,
        count(*) filter (where is_completed and lower(region) = 'rural') as rural_completed,
        count(*) filter (where is_ended and lower(region) = 'urban') as urban,
        count(*) filter (where is_completed and lower(region) = 'urban') as urban_completed,
        count(*) filter (where is_ended and lower(applicant_region) = 'rural') as rural_applicants,
        count(*) filter (where is_completed and lower(applicant_region) = 'rural') as rural_applicants_completed,
        count(*) filter (where is_ended and lower(applicant_region) = 'urban') as urban_applicants,
        count(*) filter (where is_completed and lower(applicant_region) = 'urban') as urban_applicants_completed,
        count(*) filter (where is_ended and user_type = 'first_time') as first_timers,
        count(*) filter (where is_completed and user_type = 'first_time') as first_timers_completed,
        count(*) filter (where is_ended and user_type = 'returning') as returners,
        count(*) filter (where is_completed and user_type = 'returning') as returners_completed,
        count(*) filter (where is_ended and applicant_type = 'first_time') as first_time_applicants,
        count(*) filter (where is_completed and applicant_type = 'first_time') as first_time_applicants_completed,
        count(*) filter (where is_ended and applicant_type = 'returning') as returning_applicants,
        count(*) filter (where is_completed and applicant_type = 'returning') as returning_applicants_completed,
        count(*) filter (where channel = 'voice') as by_voice,
        count(*) filter (where has_business_record and record_channel = 'voice') as recorded_by_voice
    from sessions
    group by source
),

-- kpi, way, value, sessions that the way is computed over
ways as (
    select
        sums.source,
        way.kpi,
        way.way,
        way.value,
        way.session_count::bigint as session_count
    from sums
    cross join
        lateral (
            values
            ('completion', 'outcome of the session', completed / nullif(ended, 0)::numeric, ended),
            (
                'completion', 'outcome of the session, where there is a business record',
                recorded_completed / nullif(recorded_ended, 0)::numeric, recorded_ended
            ),
            ('completion', 'business record completed', record_completed / nullif(recorded, 0)::numeric, recorded),
            ('transfer_rate', 'outcome is transferred', transferred / nullif(ended, 0)::numeric, ended),
            ('transfer_rate', 'a transfer reason is given', with_transfer_reason / nullif(sessions, 0), sessions),
            (
                'transfer_rate',
                'escalation flag',
                escalated / nullif(with_escalation_flag, 0)::numeric,
                with_escalation_flag
            ),
            ('turns_per_session', 'turns that arrived', turns / nullif(sessions, 0), sessions),
            (
                'turns_per_session', 'turns that the record claims',
                declared_turns / nullif(with_declared_turns, 0), with_declared_turns
            ),
            ('turns_per_session', 'highest turn number', last_turn_numbers / nullif(sessions, 0), sessions),
            (
                'session_duration', 'duration that the record claims',
                declared_seconds / nullif(with_declared_seconds, 0), with_declared_seconds
            ),
            ('session_duration', 'first to last turn', spoken_seconds / nullif(sessions, 0), sessions),
            (
                'asr_confidence', 'user turns, each once',
                confidence_of_user_turns / nullif(confident_turns, 0), confident_sessions
            ),
            (
                'asr_confidence', 'user turns, mean of session means',
                confidence_of_sessions / nullif(confident_sessions, 0), confident_sessions
            ),
            (
                'asr_confidence', 'figure of the source, mean of sessions',
                declared_confidence / nullif(with_declared_confidence, 0), with_declared_confidence
            ),
            ('error_rate', 'error turns of all turns', error_turns / nullif(turns, 0), sessions),
            (
                'error_rate', 'figures of the source, mean of sessions',
                declared_error_rates / nullif(with_declared_error_rates, 0), with_declared_error_rates
            ),
            (
                'rural_urban_gap', 'region of the user of the session',
                rural_completed / nullif(rural, 0)::numeric - urban_completed / nullif(urban, 0)::numeric, rural + urban
            ),
            (
                'rural_urban_gap', 'region of the applicant',
                rural_applicants_completed / nullif(rural_applicants, 0)::numeric
                - urban_applicants_completed / nullif(urban_applicants, 0)::numeric,
                rural_applicants + urban_applicants
            ),
            (
                'first_time_gap', 'user of the session',
                first_timers_completed / nullif(first_timers, 0)::numeric
                - returners_completed / nullif(returners, 0)::numeric,
                first_timers + returners
            ),
            (
                'first_time_gap', 'applicant',
                first_time_applicants_completed / nullif(first_time_applicants, 0)::numeric
                - returning_applicants_completed / nullif(returning_applicants, 0)::numeric,
                first_time_applicants + returning_applicants
            ),
            ('voice_share', 'channel of the session', by_voice / nullif(sessions, 0), sessions),
            (
                'voice_share', 'channel of the business record',
                recorded_by_voice / nullif(recorded, 0)::numeric, recorded
            )
        ) as way (kpi, way, value, session_count)
    where way.value is not null
),

spreads as (
    select
        source,
        kpi,
        count(*) as way_count,
        max(value) - min(value) as spread,
        min(value) < 0 and max(value) > 0 as changes_sign
    from ways
    group by source, kpi
    having count(*) > 1
)

select
    ways.source,
    ways.kpi,
    ways.way,
    round(ways.value, 6)::double precision as value,
    ways.session_count,
    round(spreads.spread, 6)::double precision as spread,
    limits.spread_limit,
    spreads.changes_sign,
    case
        when spreads.spread > limits.spread_limit or spreads.changes_sign then 'withheld'
        else 'consistent'
    end as verdict,
    limits.reason as limit_reason
from ways
inner join spreads on ways.source = spreads.source and ways.kpi = spreads.kpi
inner join {{ ref('contradiction_limits') }} as limits on ways.kpi = limits.kpi
