"""The months of all calls so far, from their days.

A migration of its own: whoever settles from here on moves months too, and whoever began to settle
before that has either touched the reservations, and is waited for, or waits.
"""

from django.conf import settings
from django.db import migrations

NUMBERS = (
    "cost", "requests", "failed", "refused", "estimated", "prompt_tokens", "completion_tokens",
    "cached_tokens", "cache_write_tokens",
)  # fmt: skip
MONTHS = f"""
insert into spend_rollup (span, starts_at, tag_set_id, key_id, model, key_alias,
                          {", ".join(NUMBERS)})
select 'month', date_trunc('month', starts_at, %s), tag_set_id, key_id, model,
       (array_agg(key_alias order by starts_at desc))[1], {", ".join(f"sum({n})" for n in NUMBERS)}
  from spend_rollup where span = 'day'
 group by 2, tag_set_id, key_id, model
on conflict (span, starts_at, tag_set_id, key_id, model) do update
   set key_alias = excluded.key_alias, {", ".join(f"{n} = excluded.{n}" for n in NUMBERS)}
"""


def fill_months(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("set local lock_timeout = '5s'")
        cursor.execute("lock table spend_reservation in access exclusive mode")
        cursor.execute(MONTHS, [settings.REPORT_TIME_ZONE])


class Migration(migrations.Migration):
    dependencies = [("spend", "0008_months")]

    operations = [migrations.RunPython(fill_months, migrations.RunPython.noop)]
