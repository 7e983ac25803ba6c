"""A call's further attempts: what it holds can be raised before each of them."""

from django.db import migrations

from spend.sql import load


class Migration(migrations.Migration):
    dependencies = [("spend", "0002_log_and_ledger")]

    operations = [load("add_attempt")]
