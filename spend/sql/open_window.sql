-- open_window: close a budget's window when it is over, and open the next; nothing is zeroed.
-- Returns the open window's id. Sent twice, or by two processes, it opens one window.
create or replace function spend_open_window(
  budget bigint, previous bigint, next_starts_at timestamptz, next_ends_at timestamptz
) returns bigint language plpgsql as $$
declare
  last spend_budgetwindow;
  opened bigint;
begin
  select * into last from spend_budgetwindow where budget_id = budget and is_open for update;
  if found and (last.id is distinct from previous
                or last.ends_at is null or last.ends_at > clock_timestamp()) then
    return last.id;
  end if;
  update spend_budgetwindow set is_open = false where id = last.id;
  -- No window opens before the newest one ends, whatever the clock says.
  insert into spend_budgetwindow (budget_id, starts_at, ends_at, mode, "limit")
    select budget, greatest(next_starts_at, last.ends_at), next_ends_at, b.mode, b."limit"
      from spend_budget b where b.id = budget
    returning id into opened;
  return opened;
end $$;
