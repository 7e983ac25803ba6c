-- notify: a row changed, so web workers forget its card. Carries the table and the row's id only.
create or replace function spend_notify_change() returns trigger language plpgsql as $$
begin
  perform pg_notify('tollgate_cards',
    tg_table_name || ':' || coalesce(to_jsonb(new) ->> tg_argv[0], to_jsonb(old) ->> tg_argv[0]));
  return null;
end $$;
