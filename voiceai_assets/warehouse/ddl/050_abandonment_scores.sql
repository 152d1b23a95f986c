-- Scores of published turns by the champion. What a reader sees was computed from rows of a live certificate, was counted
-- against them in the same transaction, and goes out of sight with them.
create table if not exists governance.abandonment_champion (
  is_only_row boolean primary key default true check (is_only_row),
  model_version text not null
);
create table if not exists governance.abandonment_scores (
  session_date date not null,
  session_id text not null,
  k bigint not null,
  model_version text not null,
  certificate_id text not null,
  hazard double precision not null check (hazard between 0 and 1),
  landmark double precision not null check (landmark between 0 and 1),
  primary key (session_date, session_id, k, model_version, certificate_id)
);

create or replace view certified.abandonment_scores as
select scores.session_date, scores.session_id, scores.k, scores.hazard, scores.landmark, scores.model_version,
  scores.certificate_id
from governance.abandonment_scores as scores
inner join governance.abandonment_champion as champion on scores.model_version = champion.model_version
inner join governance.publications as live
  on live.mart = 'feature_session_prefix'
  and live.day = scores.session_date
  and live.certificate_id = scores.certificate_id
  and live.is_live;
comment on view certified.abandonment_scores is
  'Grain: one row per user turn (session_date, session_id, k). Chances after turn k, by the champion: hazard gives up '
  'before the next turn, landmark ends abandoned.';

create or replace view certified.abandonment_session_scores as
select distinct on (session_date, session_id) session_date, session_id, k as user_turn_count, hazard as last_hazard,
  landmark as last_landmark, max(hazard) over (partition by session_date, session_id) as highest_hazard, model_version,
  certificate_id
from certified.abandonment_scores
order by session_date, session_id, k desc;
comment on view certified.abandonment_session_scores is
  'Grain: one row per session (session_date, session_id) that has a user turn. Chances after its last user turn, and the '
  'highest chance of giving up before the next turn that any of its turns had.';
