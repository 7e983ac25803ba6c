"""Roll-ups tell the tokens that were written to a provider's cache, also of calls before this."""

from django.db import migrations, models

from spend.sql import load

EARLIER = """
with written as (
  select s.span, s.starts_at, l.tag_set_id, l.key_id, l.model,
         sum(coalesce((l.usage ->> 'cache_write')::bigint, 0)
             + coalesce((l.usage ->> 'cache_write_1h')::bigint, 0)) as tokens
    from spend_spendlog l,
         lateral (select span, max(starts_at) as starts_at from spend_rollup r
                   where r.tag_set_id = l.tag_set_id and r.key_id = l.key_id and r.model = l.model
                     and r.starts_at <= l.at group by span) s
   where l.usage ?| array['cache_write', 'cache_write_1h']
   group by 1, 2, 3, 4, 5)
update spend_rollup r set cache_write_tokens = w.tokens
  from written w
 where (r.span, r.starts_at, r.tag_set_id, r.key_id, r.model)
     = (w.span, w.starts_at, w.tag_set_id, w.key_id, w.model)
"""


class Migration(migrations.Migration):
    dependencies = [("spend", "0005_find_calls")]

    operations = [
        migrations.AddField(
            model_name="rollup",
            name="cache_write_tokens",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.RunSQL(EARLIER, migrations.RunSQL.noop),
        load("settle"),
    ]
