"""Whoever sees tags sees the alerts about them."""

from django.db import migrations

from proxy.groups import ADMIN, EDITOR, VIEWER, grant

SEEN = {"spend": ("view_alert", "view_alertdelivery")}


def show_alerts(apps, schema_editor):
    for group in (VIEWER, EDITOR, ADMIN):
        grant(apps, group, SEEN)


class Migration(migrations.Migration):
    dependencies = [("proxy", "0004_trial_secrets"), ("spend", "0007_alerts")]

    operations = [migrations.RunPython(show_alerts, migrations.RunPython.noop)]
