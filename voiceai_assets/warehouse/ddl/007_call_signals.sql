-- What was read out of each call's transcript: written by Python (intermediate/call_signals), read by dbt.
-- A plain table: calls are few a day, and a partition costs 3 ms. The key begins with the day, so it is its index, too.
create table if not exists intermediate.call_signals (
  call_date date not null,
  source text not null,
  call_id text not null,
  session_id text not null,
  user_id text,
  transcript text,
  cleaned_text text,
  is_converted boolean,
  upsell_amount numeric(18, 6),
  offered_amount numeric(18, 6),
  reversed_amount numeric(18, 6),
  currency text,
  is_currency_mixed boolean,
  offer_count integer,
  customer_turn_count integer,
  sentiment text check (sentiment in ('positive', 'neutral', 'negative')),
  sentiment_score double precision,
  signal_source text check (signal_source in ('business_event', 'text')),
  text_is_converted boolean,
  text_accepted_amount numeric(18, 6),
  text_offered_amount numeric(18, 6),
  text_reversed_amount numeric(18, 6),
  text_currency text,
  is_text_currency_mixed boolean,
  code_version text,
  load_id text not null,
  primary key (call_date, source, call_id)
);
comment on table intermediate.call_signals is
  'Grain: one row per call (call_date, source, call_id). Holds text and is never published.';
comment on column intermediate.call_signals.session_id is 'the conversation; the call itself where none is named';
comment on column intermediate.call_signals.user_id is 'keyed pseudonym of the customer';
comment on column intermediate.call_signals.transcript is 'as loaded, redacted; null after retention took the text';
comment on column intermediate.call_signals.cleaned_text is
  'transcript in lower case with contractions expanded; null after retention took the text';
comment on column intermediate.call_signals.is_converted is
  'a sale stands at the end of the call; null where neither the business system nor the text says';
comment on column intermediate.call_signals.upsell_amount is 'accepted extras, in currency';
comment on column intermediate.call_signals.offered_amount is
  'prices of all extras that were offered; null where they are in another currency than what was booked';
comment on column intermediate.call_signals.reversed_amount is 'extras that were accepted and taken back';
comment on column intermediate.call_signals.is_currency_mixed is
  'the call speaks of extras in more than one currency; the amounts are those in currency';
comment on column intermediate.call_signals.signal_source is
  'where is_converted and upsell_amount come from: a business event wins over the text';
comment on column intermediate.call_signals.text_is_converted is
  'what the text alone says: how often it and the business system disagree is worth knowing';
comment on column intermediate.call_signals.code_version is 'rules that read the text; null where there was none';
comment on column intermediate.call_signals.load_id is 'load of raw.calls that was read';
