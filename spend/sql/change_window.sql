-- change_window: an open window takes on its budget's present mode, and its limit unless it keeps
-- one of its own; what is spent stays.
create or replace function spend_change_window(budget bigint, keeps_limit boolean)
returns void language plpgsql as $$
declare
  new_limit bigint;
begin
  select case when keeps_limit then w."limit" else b."limit" end into new_limit
    from spend_budgetwindow w join spend_budget b on b.id = w.budget_id
   where w.budget_id = budget and w.is_open for update of w;
  update spend_budgetwindow w
     set "limit" = new_limit, mode = b.mode,
         excess = greatest(0, w.spent + w.reserved - coalesce(new_limit, w.spent + w.reserved))
    from spend_budget b where b.id = budget and w.budget_id = budget and w.is_open;
end $$;

-- limit_window: an open window gets a limit of its own; the next one has the budget's again.
create or replace function spend_limit_window(budget bigint, new_limit bigint)
returns void language plpgsql as $$
begin
  perform 1 from spend_budgetwindow where budget_id = budget and is_open for update;
  update spend_budgetwindow w
     set "limit" = new_limit, excess = greatest(0, w.spent + w.reserved - new_limit)
   where w.budget_id = budget and w.is_open;
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
