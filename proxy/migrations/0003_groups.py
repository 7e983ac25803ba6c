"""Three groups to start with: who looks, who sets budgets, who runs the platform."""

from django.db import migrations

from proxy.groups import ADMIN, EDITOR, VIEWER, grant

SEEN = {
    "tags": ("tag", "tagdraw"),
    "spend": (
        "budget",
        "budgetwindow",
        "reservation",
        "spendlog",
        "rollup",
        "tagset",
        "price",
        "audit",
        "jobrun",
    ),
    "proxy": ("apikey", "keydraw", "upstream", "deployment"),
}
EDITED = {
    "tags": ("add_tag", "change_tag"),
    "spend": ("add_budget", "change_budget"),
    "proxy": ("try_apikey",),
}
RUN = {
    "tags": ("delete_tag", "reset_tag_spend"),
    "spend": ("delete_budget", "add_price", "change_price", "delete_price"),
    "proxy": (
        "add_apikey",
        "change_apikey",
        "delete_apikey",
        "add_upstream",
        "change_upstream",
        "delete_upstream",
        "add_deployment",
        "change_deployment",
        "delete_deployment",
    ),
    "auth": (
        "view_user",
        "add_user",
        "change_user",
        "delete_user",
        "view_group",
        "add_group",
        "change_group",
        "delete_group",
        "view_permission",
    ),
}


def make_groups(apps, schema_editor):
    seen = {app: tuple(f"view_{model}" for model in models) for app, models in SEEN.items()}
    for group, granted in (
        (VIEWER, [seen]),
        (EDITOR, [seen, EDITED]),
        (ADMIN, [seen, EDITED, RUN]),
    ):
        for permissions in granted:
            grant(apps, group, permissions)


class Migration(migrations.Migration):
    dependencies = [
        ("proxy", "0002_notify"),
        ("tags", "0003_owners"),
        ("spend", "0003_add_attempt"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="apikey",
            options={
                "ordering": ["-created_at"],
                "verbose_name": "API key",
                "permissions": [("try_apikey", "Can send a real call from the pages")],
            },
        ),
        migrations.RunPython(make_groups, migrations.RunPython.noop),
    ]
