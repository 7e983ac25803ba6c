"""Access: which tags somebody may see, and what may be done with them.

Permissions are asked for, never groups. Who may view tags sees all of them; an owner, who may do no
more than log in, sees the tags that name him.
"""

from typing import Any

from django.contrib.auth.models import AbstractUser

from tags.models import Tag, TagQuerySet

SEE_ALL = "tags.view_tag"
EDIT = "tags.change_tag"
CREATE = "tags.add_tag"
DELETE = "tags.delete_tag"
RESET = "tags.reset_tag_spend"
TRY = "proxy.view_apikey"  # who sees keys sees the page on which calls are tried


def sees_all(user: AbstractUser | Any) -> bool:
    return user.has_perm(SEE_ALL)


def visible_tags(user: AbstractUser | Any) -> TagQuerySet:
    """All, or those that he owns."""
    return Tag.objects.all() if sees_all(user) else Tag.objects.owned_by(user)


def visible_names(user: AbstractUser | Any) -> frozenset[str] | None:
    """None: all names, those of tags that nobody has made too."""
    if sees_all(user):
        return None
    return frozenset(Tag.objects.owned_by(user).values_list("name", flat=True))


def may_describe(user: AbstractUser | Any, tag: Tag) -> bool:
    """Its description: an owner may say what his tag is about."""
    return user.has_perm(EDIT) or tag.owners.filter(pk=user.pk).exists()
