-- intern_tags: the id of an ordered list of tag names.
create or replace function spend_intern_tags(names text[]) returns bigint language plpgsql as $$
declare
  found_id bigint;
  key bytea := sha256(convert_to(array_to_json(names)::text, 'UTF8'));
begin
  select id into found_id from spend_tagset where digest = key;
  if found_id is null then
    insert into spend_tagset (digest, tags) values (key, names)
      on conflict (digest) do nothing returning id into found_id;
    if found_id is null then
      select id into found_id from spend_tagset where digest = key;
    end if;
  end if;
  return found_id;
end $$;

-- intern_lists: the ids of several lists, in their order.
create or replace function spend_intern_lists(lists jsonb) returns json language sql as $$
  select json_agg(spend_intern_tags(array(select jsonb_array_elements_text(l.names))) order by l.n)
    from jsonb_array_elements(lists) with ordinality as l(names, n)
$$;
