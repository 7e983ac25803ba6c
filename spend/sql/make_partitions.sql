-- make_partitions: one partition of the log per month, from the month of `since`, or this one, to
-- `months` ahead. Gives up when the log is being read for long: bills would queue up behind us.
create or replace function spend_make_partitions(months int, since timestamptz default null)
returns int language plpgsql set lock_timeout = '2s' as $$
declare
  last date := (date_trunc('month', clock_timestamp() at time zone 'UTC')
                + make_interval(months => months))::date;
  month date := date_trunc('month', coalesce(since, clock_timestamp()) at time zone 'UTC')::date;
  bound text[];
  made int := 0;
  name text;
begin
  -- Two makers at once would both see a missing partition; the lock ends with the transaction.
  perform pg_advisory_xact_lock(hashtext('spend_make_partitions'));
  for month in select generate_series(month, last, interval '1 month')::date loop
    name := 'spend_spendlog_' || to_char(month, '"y"YYYY"m"MM');
    continue when to_regclass(name) is not null;
    select array_agg(left(hex, 8) || '-' || right(hex, 4) || '-0000-0000-000000000000' order by hex)
      into bound
      from (select lpad(to_hex((extract(epoch from edge at time zone 'UTC') * 1000)::bigint), 12, '0')
              from (values (month::timestamp), (month + interval '1 month')) as e(edge)) as h(hex);
    -- Rows that a wrong clock put into the default partition keep their month there.
    if exists (select 1 from spend_spendlog_default
                where id >= bound[1]::uuid and id < bound[2]::uuid) then
      raise warning 'partition % is not made: the default partition holds rows of its range', name;
      continue;
    end if;
    execute format('create table %I partition of spend_spendlog for values from (%L) to (%L)',
                   name, bound[1], bound[2]);
    made := made + 1;
  end loop;
  return made;
end $$;
