"""An open window may have a limit of its own, until the budget's is changed or the next one opens."""

from django.db import migrations, models

from spend.sql import load


class Migration(migrations.Migration):
    dependencies = [("spend", "0003_add_attempt")]

    operations = [
        migrations.RunSQL(
            "drop function if exists spend_change_window(bigint)", migrations.RunSQL.noop
        ),
        load("change_window"),
        migrations.AddIndex(
            model_name="spendlog",
            index=models.Index(
                fields=["tag_set", "id"],
                condition=models.Q(status="refused"),
                name="log_refused_by_tag_set",
            ),
        ),
    ]
