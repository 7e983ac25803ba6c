"""Workers hear of each change to a key, an upstream or a model."""

from django.db import migrations

from spend.sql import notify_changes


class Migration(migrations.Migration):
    dependencies = [("proxy", "0001_keys_and_models")]

    operations = [
        notify_changes("proxy_apikey", "id"),
        notify_changes("proxy_keydraw", "key_id"),
        notify_changes("proxy_upstream", "id"),
        notify_changes("proxy_deployment", "id"),
    ]
