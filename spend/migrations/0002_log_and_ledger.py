"""The partitioned log and the ledger's functions: what Django cannot write itself."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from spend.sql import load, notify_changes


class Migration(migrations.Migration):
    dependencies = [("spend", "0001_bank")]

    operations = [
        load("log_table"),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="SpendLog",
                    fields=[
                        ("id", models.UUIDField(primary_key=True, serialize=False)),
                        ("corrects", models.UUIDField(null=True)),
                        (
                            "at",
                            models.DateTimeField(
                                help_text="When the call was admitted or refused.",
                                verbose_name="time",
                            ),
                        ),
                        ("first_byte_at", models.DateTimeField(null=True)),
                        ("ended_at", models.DateTimeField()),
                        (
                            "status",
                            models.CharField(
                                choices=[
                                    ("success", "Success"),
                                    ("failure", "Failure"),
                                    ("refused", "Refused"),
                                    ("estimated", "Estimated"),
                                    ("correction", "Correction"),
                                ],
                                max_length=10,
                            ),
                        ),
                        ("http_status", models.SmallIntegerField()),
                        ("endpoint", models.CharField(max_length=40)),
                        ("stream", models.BooleanField()),
                        ("client_disconnected", models.BooleanField()),
                        ("key_id", models.UUIDField()),
                        ("key_alias", models.TextField(null=True)),
                        ("key_digest", models.BinaryField(null=True)),
                        ("model", models.TextField(verbose_name="model asked for")),
                        ("upstream_model", models.TextField(null=True)),
                        ("deployment_id", models.UUIDField(null=True)),
                        ("provider", models.TextField(null=True)),
                        ("price_id", models.UUIDField(null=True)),
                        ("prompt_tokens", models.BigIntegerField()),
                        ("completion_tokens", models.BigIntegerField()),
                        ("usage", models.JSONField()),
                        ("usage_source", models.CharField(max_length=8)),
                        ("cost", models.BigIntegerField(help_text="Nano-dollars.")),
                        (
                            "windows",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.BigIntegerField(), size=None
                            ),
                        ),
                        (
                            "holds",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.BigIntegerField(), size=None
                            ),
                        ),
                        ("upstream_request_id", models.TextField(null=True)),
                        ("client_request_id", models.TextField(null=True)),
                        ("end_user", models.TextField(null=True)),
                        ("session_id", models.TextField(null=True)),
                        ("user_agent", models.TextField(null=True)),
                        ("address", models.TextField(null=True)),
                        ("attempts", models.JSONField(null=True)),
                        (
                            "flags",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.TextField(), default=list, size=None
                            ),
                        ),
                        ("error", models.JSONField(null=True)),
                        ("metadata", models.JSONField(null=True)),
                        (
                            "tag_set",
                            models.ForeignKey(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                to="spend.tagset",
                            ),
                        ),
                    ],
                    options={
                        "ordering": ["-id"],
                        "indexes": [
                            models.Index(fields=["tag_set", "id"], name="log_by_tag_set"),
                            models.Index(fields=["key_id", "id"], name="log_by_key"),
                            models.Index(
                                fields=["upstream_request_id"], name="log_by_upstream_request"
                            ),
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("cost__gte", 0), ("corrects__isnull", False), _connector="OR"
                                ),
                                name="log_cost_not_negative",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("status__in", ["failure", "refused"]), _negated=True),
                                    ("cost", 0),
                                    _connector="OR",
                                ),
                                name="log_unbilled_costs_nothing",
                            ),
                        ],
                    },
                ),
            ],
        ),
        load(
            "make_partitions",
            "intern_tags",
            "reserve",
            "settle",
            "expire",
            "open_window",
            "change_window",
            "sweep",
            "notify",
        ),
        migrations.RunSQL("select spend_make_partitions(3)", migrations.RunSQL.noop),
        migrations.RunSQL("create sequence spend_worker_seq", "drop sequence spend_worker_seq"),
        notify_changes("spend_price", "id"),
    ]
