-- open_window: close a budget's window when it is over, and open the next; nothing is zeroed.
-- `previous` is the newest window that the caller saw. Returns the open window's id, or null when
-- another one was closed meanwhile. Sent twice, or by two processes, it opens one window.
create or replace function spend_open_window(
  budget bigint, previous bigint, next_starts_at timestamptz, next_ends_at timestamptz
) returns bigint language plpgsql as $$
declare
  newest spend_budgetwindow;
  opened bigint;
begin
  -- One lock order everywhere: budgets, windows, reservations, each by id. While the budget is
  -- locked nobody else opens a window of it, or changes the terms that this one copies.
  perform 1 from spend_budget where id = budget for no key update;
  perform 1 from spend_budgetwindow where budget_id = budget and is_open for update;
  select * into newest from spend_budgetwindow
   where budget_id = budget order by starts_at desc limit 1;
  if newest.id is distinct from previous or newest.is_open
     and (newest.ends_at is null or newest.ends_at > clock_timestamp()) then
    return case when newest.is_open then newest.id end;
  end if;
  update spend_budgetwindow set is_open = false where id = newest.id;
  -- No window opens before the newest one ends, whatever the clock says.
  insert into spend_budgetwindow (budget_id, starts_at, ends_at, mode, "limit")
    select budget, greatest(next_starts_at, newest.ends_at), next_ends_at, b.mode, b."limit"
      from spend_budget b where b.id = budget
    returning id into opened;
  return opened;
end $$;
