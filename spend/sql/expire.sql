-- expire: settle what a dead worker, or one past its time, left behind. Doubt is charged, flagged,
-- and can be corrected: the amount is the largest of the call's holds, or its estimate.
-- Returns how many it took on. A call that cannot be written harms no other; calls whose windows
-- somebody keeps locked are left for the next sweep.
create or replace function spend_expire(dead_workers bigint[], count_max int, day_zone text)
returns int language plpgsql set lock_timeout = '2s' as $$
declare
  batch jsonb;
begin
  select jsonb_agg(jsonb_build_object(
           'id', r.id, 'status', 'estimated', 'http_status', 500, 'usage_source', 'estimate',
           'cost', greatest(r.estimate, (select coalesce(max(h), 0) from unnest(r.holds) h)),
           'flags', '["expired"]'::jsonb,
           'error', jsonb_build_object('type', 'internal_error',
                                       'message', 'The worker that held this call ended.')))
    into batch
    from (select id, holds, estimate from spend_reservation
           where expires_at < clock_timestamp() or worker = any(dead_workers)
           order by id limit count_max) r;
  if batch is null then
    return 0;
  end if;
  begin
    perform spend_settle(batch, day_zone);
    return jsonb_array_length(batch);
  exception
    when lock_not_available then
      return jsonb_array_length(batch)
             - json_array_length(spend_settle(batch, day_zone, true) -> 'busy');
    when data_exception or integrity_constraint_violation then
      return spend_expire_singly(batch, day_zone);
  end;
end $$;

-- expire_singly: each call in a subtransaction of its own; how many could be written.
create or replace function spend_expire_singly(batch jsonb, day_zone text)
returns int language plpgsql as $$
declare
  item jsonb;
  written int := 0;
begin
  -- The windows of all of them first, in the one lock order.
  perform 1 from spend_budgetwindow where id in (
    select unnest(windows) from spend_reservation
     where id in (select (b ->> 'id')::uuid from jsonb_array_elements(batch) b)) order by id for update;
  for item in select b from jsonb_array_elements(batch) b loop
    begin
      perform spend_settle(jsonb_build_array(item), day_zone);
      written := written + 1;
    exception when data_exception or integrity_constraint_violation then
      raise warning 'call % cannot be written: %', item ->> 'id', sqlerrm;
    end;
  end loop;
  return written;
end $$;
