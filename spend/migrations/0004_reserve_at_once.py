"""Reserves that write all their reservations in one statement."""

from django.db import migrations

from spend.sql import load


class Migration(migrations.Migration):
    dependencies = [("spend", "0004_limit_window")]

    operations = [load("reserve")]
