"""TagCard: a tag's row as the frozen value that calls are judged by."""

from dataclasses import dataclass

from spend.ledger import Draw
from tags.draws import draws_of
from tags.models import Tag


@dataclass(frozen=True, slots=True)
class TagCard:
    """Who pays and what is allowed; never truth about money, which is read under lock."""

    id: int
    name: str
    allowed_models: tuple[str, ...]
    blocked: bool
    draws: tuple[Draw, ...]  # its own budget, further ones, pots
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    max_parallel_requests: int | None = None


def load_tag_card(name: str) -> TagCard | None:
    """The registered tag of that name, in two queries; None if there is none."""
    tag = Tag.objects.with_budgets().filter(name=name).first()
    return None if tag is None else card_of(tag)


def card_of(tag: Tag) -> TagCard:
    """The card of a tag that was read `with_budgets()`."""
    return TagCard(
        id=tag.pk,
        name=tag.name,
        allowed_models=tuple(tag.allowed_models),
        blocked=tag.blocked,
        draws=draws_of(f"tag:{tag.name}", tag.budget, tag.draws.all()),
        tpm_limit=tag.tpm_limit,
        rpm_limit=tag.rpm_limit,
        max_parallel_requests=tag.max_parallel_requests,
    )
