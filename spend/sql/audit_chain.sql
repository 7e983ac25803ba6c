-- audit_chain: each entry of the audit is sealed by a digest of itself and of all before it, so that
-- whoever changes one, removes one or slips one in would have to seal all later ones anew; and then
-- the newest seal is not the one that was told before (spend/reconcile.py).

create or replace function spend_audit_digest(entry spend_audit, previous bytea)
returns bytea language sql stable as $$
  select sha256(previous || convert_to(jsonb_build_array(
           entry.id, extract(epoch from entry.at), entry.actor, entry.action, entry.kind,
           entry.name, entry.before, entry.after, entry.reason)::text, 'UTF8'))
$$;

-- Sealed when the transaction commits: who waits for the chain's lock earlier than that, and holds
-- others meanwhile, could wait for somebody who waits for him.
create or replace function spend_seal_audit() returns trigger language plpgsql as $$
declare
  newest spend_auditseal;
begin
  perform pg_advisory_xact_lock(7004, 0);
  select * into newest from spend_auditseal order by position desc limit 1;
  insert into spend_auditseal (position, audit_id, digest)
    values (coalesce(newest.position, 0) + 1, new.id,
            spend_audit_digest(new, coalesce(newest.digest, '')));
  return null;
end $$;

create or replace function spend_refuse_rewrite() returns trigger language plpgsql as $$
begin
  raise exception 'the audit is append-only' using errcode = 'integrity_constraint_violation';
end $$;
