-- add_attempt: raise what a call holds before it is tried again, on each of its windows or on none.
-- It is judged as if it came anew: its own hold counts only as far as its attempts so far are owed.
-- Holds are only ever raised, to `owed` and the new attempt's amount, so an item may be sent any
-- number of times and one that comes late changes nothing. A verdict is what spend_known says of the
-- call, or says that it is full or, on a strict window, unbounded; a call that is over has no room.
create or replace function spend_add_attempt(
  batch jsonb  -- [{"id", "owed", "expected", "bound"}]
) returns json language plpgsql as $$
declare
  ids uuid[];
  item record;
  raised bigint[];
  is_full boolean;
  is_unbounded boolean;
  verdicts json[] := '{}';
begin
  select array_agg(b.id) into ids from jsonb_to_recordset(batch) as b(id uuid);
  -- One lock order everywhere: budgets, windows, reservations, each by id.
  perform 1 from spend_budgetwindow where id in (
    select unnest(windows) from spend_reservation where id = any(ids)) order by id for update;
  perform 1 from spend_reservation where id = any(ids) order by id for update;

  for item in
    select * from jsonb_to_recordset(batch) as b(id uuid, owed bigint, expected bigint, bound bigint)
  loop
    with hold as (
      select h.n, h.held, w."limit" as most, w.spent, w.reserved - h.held as others,
             w.mode = 'strict' and w."limit" is not null as is_strict
        from spend_reservation r, unnest(r.windows, r.holds) with ordinality as h(w, held, n)
        join spend_budgetwindow w on w.id = h.w
       where r.id = item.id
    ), judged as (
      select *, greatest(held, item.owed + case when is_strict then item.bound else item.expected end)
             as wanted from hold
    )
    select coalesce(array_agg(wanted order by n), '{}'),
           coalesce(bool_or(is_strict and item.bound is null), false),
           coalesce(bool_or(case when is_strict then spent + others + wanted > most
                                 else spent + others + item.owed >= most end), false)
      into raised, is_unbounded, is_full from judged;
    if is_unbounded or is_full then
      verdicts := verdicts || json_build_object('refused', true, 'unbounded', is_unbounded);
      continue;
    end if;
    update spend_budgetwindow w set reserved = w.reserved + u.wanted - u.held
      from spend_reservation r, unnest(r.windows, r.holds, raised) as u(w, held, wanted)
     where r.id = item.id and w.id = u.w and u.wanted > u.held;
    update spend_reservation
       set holds = raised, estimate = greatest(estimate, item.owed + item.expected)
     where id = item.id;
    verdicts := verdicts || spend_known(item.id);
  end loop;
  return json_build_object('calls', array_to_json(verdicts));
end $$;
