-- change_window: an open window takes on its budget's present limit and mode; what is spent stays.
create or replace function spend_change_window(budget bigint) returns void language plpgsql as $$
begin
  perform 1 from spend_budgetwindow where budget_id = budget and is_open for update;
  update spend_budgetwindow w
     set "limit" = b."limit", mode = b.mode,
         excess = greatest(0, w.spent + w.reserved - coalesce(b."limit", w.spent + w.reserved))
    from spend_budget b where b.id = budget and w.budget_id = budget and w.is_open;
end $$;

-- replace_window: close the open window at `moment`, or leave it its end if that has passed; keep
-- it, and open one with nothing spent. The caller holds the budget's lock.
create or replace function spend_replace_window(
  budget bigint, moment timestamptz, next_ends_at timestamptz
) returns bigint language plpgsql as $$
declare
  opened bigint;
begin
  update spend_budgetwindow set is_open = false, ends_at = least(ends_at, moment)
   where budget_id = budget and is_open;
  insert into spend_budgetwindow (budget_id, starts_at, ends_at, mode, "limit")
    select budget, moment, next_ends_at, b.mode, b."limit" from spend_budget b where b.id = budget
    returning id into opened;
  return opened;
end $$;
