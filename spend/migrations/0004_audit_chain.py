"""The audit becomes a chain: each entry is sealed, and none can be changed or removed."""

from django.db import migrations, models

from spend.sql import load

APPEND_ONLY = "".join(
    f"create trigger audit_is_append_only before update or delete on {table}"
    " for each row execute function spend_refuse_rewrite();"
    for table in ("spend_audit", "spend_auditseal")
)
SEAL = """
    create constraint trigger seal_audit after insert on spend_audit
      deferrable initially deferred for each row execute function spend_seal_audit();
"""
# What was written before there was a chain, in its order.
SEAL_EARLIER = """
do $$
declare
  entry spend_audit;
  newest bytea := '';
  n bigint := 0;
begin
  for entry in select * from spend_audit order by id loop
    n := n + 1;
    newest := spend_audit_digest(entry, newest);
    insert into spend_auditseal (position, audit_id, digest) values (n, entry.id, newest);
  end loop;
end $$;
"""
BACK = """
    drop trigger seal_audit on spend_audit;
    drop trigger audit_is_append_only on spend_audit;
    drop function spend_seal_audit();
    drop function spend_audit_digest(spend_audit, bytea);
"""


class Migration(migrations.Migration):
    dependencies = [("spend", "0004_reserve_at_once")]

    operations = [
        migrations.CreateModel(
            name="AuditSeal",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("audit_id", models.BigIntegerField(unique=True)),
                ("digest", models.BinaryField(max_length=32)),
            ],
        ),
        load("audit_chain"),
        migrations.RunSQL(SEAL_EARLIER, migrations.RunSQL.noop),
        migrations.RunSQL(APPEND_ONLY + SEAL, BACK),
    ]
