-- Versions of a user from successive exports of a list. Exports that say the same of a user are one version; a user who
-- is missing from an export has no version until the export that names them again.
with

lists as (
    select
        source,
        snapshot_date,
        row_number() over (partition by source order by snapshot_date) as list_number,
        lead(snapshot_date) over (partition by source order by snapshot_date) as next_list_date
    from {{ certified('user_list_entries') }}
    group by source, snapshot_date
),

entries as (
    select
        entries.source,
        entries.user_id,
        entries.snapshot_date,
        lists.next_list_date,
        lists.list_number,
        entries.region,
        entries.disability,
        entries.language,
        entries.is_first_time_digital_user,
        row_number() over (
            partition by
                entries.source, entries.user_id, entries.region, entries.disability, entries.language,
                entries.is_first_time_digital_user
            order by entries.snapshot_date
        ) as number_of_same
    from {{ certified('user_list_entries') }} as entries
    inner join lists on entries.source = lists.source and entries.snapshot_date = lists.snapshot_date
)

-- equal entries of successive lists have the same distance between the two counts
select
    source,
    user_id,
    region,
    disability,
    language,
    is_first_time_digital_user,
    min(snapshot_date) as valid_from,
    case when not bool_or(next_list_date is null) then max(next_list_date) end as valid_to,
    bool_or(next_list_date is null) as is_current
from entries
group by
    source, user_id, region, disability, language, is_first_time_digital_user, list_number - number_of_same
