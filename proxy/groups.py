"""Groups: bundles of permissions that migrations make; code asks for permissions, not for them."""

from collections.abc import Mapping, Sequence
from typing import Any

VIEWER, EDITOR, ADMIN = "FinOps viewer", "FinOps editor", "Platform admin"

# Of permissions that are our own: the model and the name.
OWN = {
    "reset_tag_spend": ("tag", "Can reset the spend of a tag"),
    "try_apikey": ("apikey", "Can send a real call from the pages"),
}


def grant(apps: Any, group: str, permissions: Mapping[str, Sequence[str]]) -> None:
    """In a migration: the codenames by app. Django makes permissions when all migrations are done,
    so those that are not there yet are made here, and Django finds them then.
    """
    found, _ = apps.get_model("auth", "Group").objects.get_or_create(name=group)
    for app, codenames in permissions.items():
        for codename in codenames:
            found.permissions.add(_permission(apps, app, codename))


def _permission(apps: Any, app: str, codename: str) -> Any:
    verb, _, model = codename.partition("_")
    model, name = OWN.get(codename, (model, f"Can {verb} {model}"))
    types = apps.get_model("contenttypes", "ContentType").objects
    about, _ = types.get_or_create(app_label=app, model=model)
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=about, codename=codename, defaults={"name": name}
    )
    return permission
