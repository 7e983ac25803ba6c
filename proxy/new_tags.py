"""New tags: made by the traffic that carries them, from the operator's templates."""

from typing import Any

from django.conf import settings

from proxy.directory import Directory
from proxy.errors import bad_request
from proxy.globs import fits
from proxy.key_cards import KeyCard
from spend.models import Audit
from spend.rollover import database_now
from tags.cards import TagCard
from tags.serializers import create_from_wire


async def create_from_template(name: str, key: KeyCard, directory: Directory) -> TagCard | None:
    """The tag's card, or None where no template fits. Raises Failure `unknown_tag` past the cap."""
    template = next(
        (t for t in settings.NEW_TAG_TEMPLATES if fits(name, t.get("match", "*"))), None
    )
    if template is None:
        return None
    terms = {field: value for field, value in template.items() if field != "match"}
    made = await directory.ask("new tag", name, lambda: _create(name, terms, key))
    if not made:
        text = f"This key has made {settings.NEW_TAGS_PER_KEY} tags today; '{name}' is not known."
        raise bad_request("unknown_tag", text, "metadata.tags")
    directory.forget_unknown_tags()
    return await directory.tag(name)


def _create(name: str, terms: dict[str, Any], key: KeyCard) -> bool:
    """Whether the tag exists now; a process that was faster is as good as we are."""
    actor = f"traffic:{key.id}"
    today = database_now().replace(hour=0, minute=0, second=0, microsecond=0)
    made = Audit.objects.filter(kind="tag", action="create", actor=actor, at__gte=today)
    if made.count() >= settings.NEW_TAGS_PER_KEY:
        return False
    create_from_wire({"name": name, **terms}, actor=actor)
    return True
