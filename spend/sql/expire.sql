-- expire: settle what a dead worker, or one past its time, left behind. Doubt is charged, flagged,
-- and can be corrected: the amount is the largest of the call's holds, or its estimate.
create or replace function spend_expire(dead_workers bigint[], count_max int, day_zone text)
returns int language plpgsql as $$
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
  perform spend_settle(batch, day_zone);
  return jsonb_array_length(batch);
end $$;
