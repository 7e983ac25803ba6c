-- settle: a reservation becomes its log row; `reserved -= held`, `spent += cost`, roll-ups move.
-- Per item, by id: held -> logged; estimated in the log -> one correction; unknown and with an
-- intent of its own -> a row without money (refused, or given up); anything else -> nothing.
-- So any item may be sent any number of times, by any process, in any order. Of an id that is in
-- the batch twice the first counts.
--
-- An item with a `worker` bars its id for that worker's reserves: one that is still on its way is
-- waited for, and one that comes later finds the row.
create or replace function spend_settle(
  batch jsonb,
  day_zone text,
  passes_busy boolean default false  -- leave out the calls whose windows somebody keeps locked
) returns json language plpgsql as $$
declare
  ids uuid[];
  barring bigint[];
  touched bigint[];
  locked bigint[];
  busy uuid[];
  outcome json;
begin
  select array_agg(b.id order by b.id), array_agg(distinct b.worker) filter (where b.worker is not null)
    into ids, barring from jsonb_to_recordset(batch) as b(id uuid, worker bigint);

  -- One lock order everywhere: budgets, windows, reservations, each by id.
  select array_agg(w) into touched from (
    select unnest(windows) as w from spend_reservation where id = any(ids)
    union
    select unnest(windows) from spend_spendlog
     where id >= ids[1] and id <= ids[cardinality(ids)] and id = any(ids)
       and status = 'estimated') t;
  if passes_busy then
    select array_agg(id) into locked from (
      select id from spend_budgetwindow
       where id = any(touched) order by id for update skip locked) w;
    select array_agg(c.id) into busy from (
      select id, windows from spend_reservation where id = any(ids)
      union all
      select id, windows from spend_spendlog
       where id >= ids[1] and id <= ids[cardinality(ids)] and id = any(ids)
         and status = 'estimated') c
     where not c.windows <@ coalesce(locked, '{}');
    if busy is not null then
      select coalesce(jsonb_agg(b.item order by b.n), '[]'),
             array_agg((b.item ->> 'id')::uuid order by b.item ->> 'id')
        into batch, ids
        from jsonb_array_elements(batch) with ordinality as b(item, n)
       where (b.item ->> 'id')::uuid <> all(busy);
    end if;
  else
    perform 1 from spend_budgetwindow where id = any(touched) order by id for update;
  end if;
  perform 1 from spend_reservation where id = any(ids) order by id for update;
  perform pg_advisory_xact_lock(7003, w.id::int)
     from (select id from unnest(barring) as b(id) order by id) w;

  with bill as materialized (
    select distinct on (b.id) b.* from rows from (jsonb_to_recordset(batch) as (
      id uuid, cost bigint, status text, http_status smallint, first_byte_at timestamptz,
      ended_at timestamptz, client_disconnected boolean, upstream_model text, deployment_id uuid,
      provider text, price_id uuid, prompt_tokens bigint, completion_tokens bigint,
      cached_tokens bigint, cache_write_tokens bigint, usage jsonb, usage_source text, upstream_request_id text,
      attempts jsonb, flags text[], error jsonb, at timestamptz, intent jsonb)) with ordinality as b
     order by b.id, b.ordinality
  ), logged_before as materialized (
    select l.* from spend_spendlog l
     where l.id >= ids[1] and l.id <= ids[cardinality(ids)] and l.id = any(ids)
  ), held as (
    delete from spend_reservation r using bill where r.id = bill.id
    returning r.id, r.windows, r.holds, r.admitted_at as at, r.intent
  ), entry as (
    -- A row that is in the log already stands; what is held beside it is given back all the same.
    select h.id, h.windows, h.holds, h.at, h.intent from held h
     where not exists (select 1 from logged_before l where l.id = h.id)
    union all
    select b.id, '{}', '{}', coalesce(b.at, clock_timestamp()), b.intent from bill b
     where b.intent is not null
       and not exists (select 1 from spend_reservation r where r.id = b.id)
       and not exists (select 1 from logged_before l where l.id = b.id)
  ), logged as (
    insert into spend_spendlog
      (id, at, first_byte_at, ended_at, status, http_status, endpoint, stream, client_disconnected,
       key_id, key_alias, key_digest, tag_set_id, model, upstream_model, deployment_id, provider,
       price_id, prompt_tokens, completion_tokens, usage, usage_source, cost, windows, holds,
       upstream_request_id, client_request_id, end_user, session_id, user_agent, address,
       attempts, flags, error, metadata)
    -- A refusal is told by the worker's clock, and its row begins by ours: never after its end.
    select e.id, e.at, b.first_byte_at,
           greatest(coalesce(b.ended_at, clock_timestamp()), e.at), b.status,
           b.http_status, i.endpoint, i.stream, coalesce(b.client_disconnected, false), i.key_id,
           i.key_alias, decode(i.key_digest, 'hex'), i.tag_set, i.model,
           coalesce(b.upstream_model, i.upstream_model), coalesce(b.deployment_id, i.deployment_id),
           coalesce(b.provider, i.provider), coalesce(b.price_id, i.price_id),
           coalesce(b.prompt_tokens, 0), coalesce(b.completion_tokens, 0),
           coalesce(b.usage, '{}'), coalesce(b.usage_source, 'none'), b.cost, e.windows, e.holds,
           b.upstream_request_id, i.client_request_id, i.end_user, i.session_id, i.user_agent,
           i.address, b.attempts, coalesce(b.flags, '{}'), b.error, i.metadata
      from entry e join bill b on b.id = e.id,
           jsonb_to_record(e.intent) as i(
             endpoint text, stream boolean, key_id uuid, key_alias text, key_digest text,
             tag_set bigint, model text, upstream_model text, deployment_id uuid, provider text,
             price_id uuid, client_request_id text, end_user text, session_id text,
             user_agent text, address text, metadata jsonb)
    returning id, at, status, cost, windows, tag_set_id, key_id, key_alias, model, prompt_tokens,
              completion_tokens
  ), corrected as (
    insert into spend_spendlog
      (id, corrects, at, ended_at, status, http_status, endpoint, stream, client_disconnected,
       key_id, key_alias, key_digest, tag_set_id, model, upstream_model, deployment_id, provider,
       price_id, prompt_tokens, completion_tokens, usage, usage_source, cost, windows, holds,
       upstream_request_id, client_request_id, end_user, session_id, user_agent, address, flags)
    select (left(l.id::text, 34) || '01')::uuid, l.id, l.at, coalesce(b.ended_at, clock_timestamp()),
           'correction', b.http_status, l.endpoint, l.stream, coalesce(b.client_disconnected, false),
           l.key_id, l.key_alias, l.key_digest, l.tag_set_id, l.model,
           coalesce(b.upstream_model, l.upstream_model), coalesce(b.deployment_id, l.deployment_id),
           coalesce(b.provider, l.provider), coalesce(b.price_id, l.price_id),
           coalesce(b.prompt_tokens, 0) - l.prompt_tokens,
           coalesce(b.completion_tokens, 0) - l.completion_tokens,
           coalesce(b.usage, '{}'), coalesce(b.usage_source, 'none'), b.cost - l.cost, l.windows,
           array_fill(0::bigint, array[cardinality(l.windows)]), b.upstream_request_id,
           l.client_request_id, l.end_user, l.session_id, l.user_agent, l.address, '{}'
      from logged_before l join bill b on b.id = l.id
     where l.status = 'estimated'
       -- Only the expiry of a holder believed dead is provisional; an estimate made by a living
       -- worker is its last word.
       and 'expired' = any(l.flags)
       and (b.status <> 'estimated' or b.cost <> l.cost)
       and not exists (select 1 from spend_spendlog c
                        where c.id = (left(l.id::text, 34) || '01')::uuid)
    returning id, corrects, at, status, cost, windows, holds, tag_set_id, key_id, key_alias, model,
              prompt_tokens, completion_tokens
  ), moved as (
    select u.w as id, sum(m.cost) as cost, sum(u.h) as hold
      from (select cost, windows, array_fill(0::bigint, array[cardinality(windows)]) as holds
              from logged
            union all select cost, windows, holds from corrected
            union all select 0, windows, holds from held) m, unnest(m.windows, m.holds) as u(w, h)
     group by u.w
  ), paid as (
    update spend_budgetwindow w
       set spent = w.spent + m.cost, reserved = w.reserved - m.hold,
           excess = case when w.mode = 'strict' and w."limit" is not null
                         then greatest(w.excess, w.spent + m.cost + w.reserved - m.hold - w."limit")
                         else w.excess end
      from moved m where w.id = m.id
    returning w.id
  ), rows as (
    select l.at, l.status, l.cost, l.tag_set_id, l.key_id, l.key_alias, l.model, l.prompt_tokens,
           l.completion_tokens, coalesce(b.cached_tokens, 0) as cached_tokens,
           coalesce(b.cache_write_tokens, 0) as cache_write_tokens
      from logged l join bill b on b.id = l.id
    union all
    select c.at, c.status, c.cost, c.tag_set_id, c.key_id, c.key_alias, c.model, c.prompt_tokens,
           c.completion_tokens, coalesce(b.cached_tokens, 0), coalesce(b.cache_write_tokens, 0)
      from corrected c join bill b on b.id = c.corrects
  ), rolled as (
    insert into spend_rollup as u
      (span, starts_at, tag_set_id, key_id, model, key_alias, cost, requests, failed, refused,
       estimated, prompt_tokens, completion_tokens, cached_tokens,
       cache_write_tokens)
    select s.span, s.starts_at, r.tag_set_id, r.key_id, r.model, max(r.key_alias), sum(r.cost),
           count(*) filter (where r.status in ('success', 'failure', 'estimated')),
           count(*) filter (where r.status = 'failure'),
           count(*) filter (where r.status = 'refused'),
           count(*) filter (where r.status = 'estimated'),
           sum(r.prompt_tokens), sum(r.completion_tokens), sum(r.cached_tokens),
           sum(r.cache_write_tokens)
      from rows r, lateral (values ('hour', date_trunc('hour', r.at, 'UTC')),
                                   ('day', date_trunc('day', r.at, day_zone)),
                                   ('month', date_trunc('month', r.at, day_zone)))
             as s(span, starts_at)
     group by s.span, s.starts_at, r.tag_set_id, r.key_id, r.model
     order by s.span, s.starts_at, r.tag_set_id, r.key_id, r.model
    on conflict (span, starts_at, tag_set_id, key_id, model) do update
       set key_alias = excluded.key_alias, cost = u.cost + excluded.cost,
           requests = u.requests + excluded.requests, failed = u.failed + excluded.failed,
           refused = u.refused + excluded.refused, estimated = u.estimated + excluded.estimated,
           prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
           completion_tokens = u.completion_tokens + excluded.completion_tokens,
           cached_tokens = u.cached_tokens + excluded.cached_tokens,
           cache_write_tokens = u.cache_write_tokens + excluded.cache_write_tokens
    returning 1
  )
  select json_build_object('logged', (select count(*) from logged),
                           'corrected', (select count(*) from corrected),
                           'windows', (select count(*) from paid),
                           'rollups', (select count(*) from rolled),
                           'busy', coalesce(array_to_json(busy), '[]'))
    into outcome;
  return outcome;
end $$;
