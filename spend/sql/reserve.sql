-- reserve: hold each call's amount on every window it draws on, or on none.
-- The only place that decides whether a call has room: on locked rows, in order of arrival.
-- A verdict is true or an object: refused, gone (budgets without an open window), busy (windows
-- that somebody keeps locked), unbounded, or known (the id was here before).
create or replace function spend_reserve(
  batch jsonb,       -- [{"id", "draws": positions in budgets, "expected", "bound", "seconds", "intent"}]
  budgets bigint[],  -- every budget that the batch draws on, each once
  worker_id bigint,
  passes_busy boolean  -- pass by the windows that somebody keeps locked, instead of waiting for them
) returns json language plpgsql as $$
declare
  moment timestamptz;
  lockable bigint[];
  window_ids bigint[]; is_strict boolean[]; limits bigint[]; paid bigint[]; held bigint[];
  ends timestamptz[];
  busy bigint[];
  adds bigint[] := array_fill(0::bigint, array[cardinality(budgets)]);
  ids uuid[];
  known uuid[];
  admitted bigint[] := '{}'; repeated bigint[] := '{}';  -- positions in the batch
  verdicts json[] := '{}';
  verdict json;
  item record;
  slot int;
  amount bigint;
  is_full boolean;
  call_holds bigint[];
  states json;
begin
  if passes_busy then
    select array_agg(id) into lockable from (
      select id from spend_budgetwindow
       where budget_id = any(budgets) and is_open order by id for update skip locked) w;
    lockable := coalesce(lockable, '{}');
    select array_agg(budget_id) into busy from spend_budgetwindow
     where budget_id = any(budgets) and is_open and id <> all(lockable);
  end if;

  -- One lock order everywhere: budgets, windows, reservations, each by id.
  with locked as materialized (
    select id, budget_id, mode, "limit", spent, reserved, ends_at from spend_budgetwindow
     where budget_id = any(budgets) and is_open and (lockable is null or id = any(lockable))
     order by id for update
  )
  select array_agg(w.id order by b.n), array_agg(w.mode = 'strict' and w."limit" is not null order by b.n),
         array_agg(w."limit" order by b.n), array_agg(w.spent order by b.n),
         array_agg(w.reserved order by b.n), array_agg(w.ends_at order by b.n)
    into window_ids, is_strict, limits, paid, held, ends
    from unnest(budgets) with ordinality as b(budget_id, n)
    left join locked w on w.budget_id = b.budget_id;

  -- Who bars one of this worker's ids holds this lock until that is committed (see settle).
  perform pg_advisory_xact_lock(7003, worker_id::int);

  -- Read the clock once, after the locks: a long wait cannot admit into a window that ended.
  moment := clock_timestamp();
  for n in 1..cardinality(budgets) loop
    if ends[n] <= moment then
      window_ids[n] := null;
    end if;
  end loop;

  -- An id that is here or in the log was admitted before: a retry, or an original that comes late.
  select array_agg(r.id order by r.id) into ids from jsonb_to_recordset(batch) as r(id uuid);
  select array_agg(k.id) into known from (
    select id from spend_reservation where id = any(ids)
    union all
    select id from spend_spendlog
     where id >= ids[1] and id <= ids[cardinality(ids)] and id = any(ids)) k;

  for item in
    select * from rows from (jsonb_to_recordset(batch)
        as (id uuid, draws int[], expected bigint, bound bigint))
      with ordinality as r(id, draws, expected, bound, n)
  loop
    verdict := null;
    call_holds := '{}';
    if item.id = any(known) then
      verdict := 'null';
      repeated := repeated || item.n;
    else
      foreach slot in array item.draws loop
        if window_ids[slot] is null then
          verdict := case when budgets[slot] = any(busy) then json_build_object('busy', budgets[slot])
                     else (select json_build_object('gone', json_agg(distinct budgets[d]))
                             from unnest(item.draws) d
                            where window_ids[d] is null and budgets[d] <> all(coalesce(busy, '{}')))
                     end;
        elsif is_strict[slot] and item.bound is null then
          verdict := json_build_object('unbounded', true);
        else
          amount := case when is_strict[slot] then item.bound else item.expected end;
          is_full := case when is_strict[slot]
                          then paid[slot] + held[slot] + amount > limits[slot]
                          else paid[slot] + held[slot] >= limits[slot] end;
          if is_full then
            select json_build_object('refused', slot, 'spent', paid[slot], 'reserved', held[slot],
                     'limit', limits[slot], 'requested', amount, 'budget', b.public_id,
                     'is_pot', b.is_pot, 'mode', w.mode, 'duration', b.duration,
                     'starts_at', w.starts_at, 'resets_at', w.ends_at)
              into verdict
              from spend_budgetwindow w join spend_budget b on b.id = w.budget_id
             where w.id = window_ids[slot];
          end if;
        end if;
        exit when verdict is not null;
        call_holds := call_holds || amount;
      end loop;
    end if;

    if verdict is null then
      admitted := admitted || item.n;
      known := known || item.id;  -- it may be twice in this batch
      for n in 1..cardinality(item.draws) loop
        slot := item.draws[n];
        held[slot] := held[slot] + call_holds[n];
        adds[slot] := adds[slot] + call_holds[n];
      end loop;
    end if;
    verdicts := verdicts || coalesce(verdict, 'true'::json);
  end loop;

  -- In one statement: each one that writes first reads the table's constraints anew.
  insert into spend_reservation
    (id, worker, windows, holds, estimate, admitted_at, expires_at, intent)
    select r.id, worker_id, array(select window_ids[d] from unnest(r.draws) d),
           array(select case when is_strict[d] then r.bound else r.expected end from unnest(r.draws) d),
           r.expected, moment, moment + make_interval(secs => r.seconds), r.intent
      from rows from (jsonb_to_recordset(batch) as (
             id uuid, draws int[], expected bigint, bound bigint, seconds int, intent jsonb))
           with ordinality as r(id, draws, expected, bound, seconds, intent, n)
     where r.n = any(admitted);
  if repeated <> '{}' then
    for item in
      select * from rows from (jsonb_to_recordset(batch) as (id uuid)) with ordinality as r(id, n)
       where n = any(repeated)
    loop
      verdicts[item.n] := spend_known(item.id);
    end loop;
  end if;

  update spend_budgetwindow w set reserved = w.reserved + a.amount
    from unnest(window_ids, adds) as a(id, amount)
   where w.id = a.id and a.amount <> 0;

  select json_agg(json_build_array(window_ids[n], is_strict[n], limits[n], paid[n], held[n],
                                    extract(epoch from ends[n]))
                  order by n)
    into states from generate_series(1, cardinality(budgets)) n;
  return json_build_object('calls', array_to_json(verdicts), 'windows', coalesce(states, '[]'),
                           'now', extract(epoch from moment));
end $$;

-- known: what became of an id that was admitted before. What it holds, and on which windows, is as
-- it was decided then; their money is as it stands now.
create or replace function spend_known(call uuid) returns json language sql stable as $$
  select coalesce(
    (select json_build_object('known', 'reserved', 'holds', r.holds, 'windows', (
              select coalesce(json_agg(json_build_array(w.id, w.mode = 'strict' and w."limit" is not null,
                       w."limit", w.spent, w.reserved, extract(epoch from w.ends_at)) order by h.n), '[]')
                from unnest(r.windows) with ordinality as h(id, n)
                join spend_budgetwindow w on w.id = h.id))
       from spend_reservation r where r.id = call),
    json_build_object('known', 'logged'))
$$;
