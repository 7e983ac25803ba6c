-- lockless_workers: who holds reservations but not the session lock that a living worker holds.
-- Ask twice, some seconds apart, before you believe it: a worker that reconnects has no lock meanwhile.
create or replace function spend_lockless_workers() returns bigint[] language sql as $$
  select coalesce(array_agg(worker), '{}')
    from (select distinct worker from spend_reservation) w
   where pg_try_advisory_xact_lock(7001, worker::int)
$$;
