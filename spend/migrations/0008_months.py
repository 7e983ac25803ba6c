"""Roll-ups by month too; those of calls before this are made by the next migration."""

from django.db import migrations, models

from spend.sql import load


class Migration(migrations.Migration):
    dependencies = [("spend", "0007_alerts")]

    operations = [
        migrations.AlterField(
            model_name="rollup",
            name="span",
            field=models.CharField(
                choices=[("hour", "Hour"), ("day", "Day"), ("month", "Month")], max_length=5
            ),
        ),
        load("settle"),
    ]
