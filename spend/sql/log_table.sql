-- The log: partitioned by id, which is ordered by time; append-only by trigger.
create table spend_spendlog (
  id uuid primary key,
  corrects uuid,
  at timestamptz not null,
  first_byte_at timestamptz,
  ended_at timestamptz not null,
  status varchar(10) not null,
  http_status smallint not null,
  endpoint varchar(40) not null,
  stream boolean not null,
  client_disconnected boolean not null,
  key_id uuid not null,
  key_alias text,
  key_digest bytea,
  tag_set_id bigint not null,
  model text not null,
  upstream_model text,
  deployment_id uuid,
  provider text,
  price_id uuid,
  prompt_tokens bigint not null,
  completion_tokens bigint not null,
  usage jsonb not null,
  usage_source varchar(8) not null,
  cost bigint not null,
  windows bigint[] not null,
  holds bigint[] not null,
  upstream_request_id text,
  client_request_id text,
  end_user text,
  session_id text,
  user_agent text,
  address text,
  attempts jsonb,
  flags text[] not null,
  error jsonb,
  metadata jsonb,
  constraint log_cost_not_negative check (cost >= 0 or corrects is not null),
  constraint log_unbilled_costs_nothing check (status not in ('failure', 'refused') or cost = 0),
  -- A call's id ends in a zero byte; a correction's is its call's with the last byte counted up.
  constraint log_correction_names_its_call check (
    case when corrects is null then right(id::text, 2) = '00'
         else right(id::text, 2) <> '00' and left(id::text, 34) || '00' = corrects::text end
  ),
  constraint log_holds_match_windows check (cardinality(windows) = cardinality(holds))
) partition by range (id);

create table spend_spendlog_default partition of spend_spendlog default;

create index log_by_tag_set on spend_spendlog (tag_set_id, id);
create index log_by_key on spend_spendlog (key_id, id);
create index log_by_upstream_request on spend_spendlog (upstream_request_id);

create function spend_refuse_edit() returns trigger language plpgsql as $$
begin
  raise exception 'SpendLog is append-only' using errcode = 'integrity_constraint_violation';
end $$;

create trigger log_is_append_only before update or delete on spend_spendlog
  for each row execute function spend_refuse_edit();

-- No call holds less than nothing, or more than the largest limit that a budget can have; a sum of
-- holds then stays far below what a bigint can count.
alter table spend_reservation add constraint reservation_money_in_range check (
  estimate between 0 and 8000000000000001
  and 0 <= all (holds) and 8000000000000001 >= all (holds)
);

-- Windows and roll-ups are updated in place all day: room on the page keeps the updates HOT.
alter table spend_budgetwindow set (fillfactor = 50);
alter table spend_rollup set (fillfactor = 70);
alter table spend_reservation set (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000
);
