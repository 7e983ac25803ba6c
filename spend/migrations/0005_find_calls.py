"""Calls are found by how they ended, if not well, and by the id that a client gave them."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("spend", "0004_audit_chain")]

    operations = [
        migrations.AddIndex(
            model_name="spendlog",
            index=models.Index(
                fields=["status", "id"], condition=~Q(status="success"), name="log_unlike_success"
            ),
        ),
        migrations.AddIndex(
            model_name="spendlog",
            index=models.Index(
                fields=["client_request_id"],
                condition=Q(client_request_id__isnull=False),
                name="log_by_client_request",
            ),
        ),
    ]
