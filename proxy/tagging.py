"""Tagging: gather a call's tags, once, from every source, in one order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings

from proxy.call import Call
from proxy.directory import Directory
from proxy.errors import Failure, bad_request
from proxy.globs import fits, fits_any
from proxy.key_cards import KeyCard
from proxy.new_tags import create_from_template
from spend.ledger import Draw
from tags.cards import TagCard
from tags.names import BadTag, clean_tag

CLEANED_MAX = 4096  # most calls carry the same few tags
TAG_HEADERS = ("x-litellm-tags", "x-tollgate-tags")
LISTED_MAX = 1_000  # repeats included; what is longer is not even looked at

# A tag and the member that it came from, for the error that names it.
Sourced = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CollectedTags:
    """A call's final tags in order, the registered ones' cards, and every budget they draw on."""

    names: tuple[str, ...]
    cards: tuple[TagCard, ...]
    draws: tuple[Draw, ...]


async def collect_tags(call: Call, directory: Directory) -> CollectedTags:
    """Raises Failure for a tag that is malformed, unknown, not allowed, blocked or missing."""
    if not (settings.TAG_HEADER_RULES or settings.TAG_USER_AGENT):
        client = _merge(_client_tags(call))
        names = list(dict.fromkeys([*client, *call.key.default_tags]))
    else:
        client = _merge(_client_tags(call))
        ruled = _merge(_ruled_tags(call.headers))
        names = list(dict.fromkeys([*client, *ruled, *call.key.default_tags]))
        client += [name for name in ruled if name not in client]
    if len(names) > settings.MAX_TAGS_PER_REQUEST:
        text = (
            f"A call has at most {settings.MAX_TAGS_PER_REQUEST} tags; this one has {len(names)}."
        )
        raise bad_request("too_many_tags", text, "metadata.tags")
    check_key_rules(call.key, client, names)
    cards = []
    for name in names:
        card = await directory.tag(name)
        if card is None:
            card = await _admit_unknown(name, call, directory)
        if card is not None:
            if card.blocked:
                raise _refused(403, "tag_blocked", f"The tag '{name}' is blocked.")
            cards.append(card)
    return CollectedTags(tuple(names), tuple(cards), _draws(cards, call))


def _draws(cards: Sequence[TagCard], call: Call) -> tuple[Draw, ...]:
    """Each budget once, the tags' in their order and then the key's: the first payer is named."""
    draws: dict[int, Draw] = {}
    for card in cards:
        for draw in card.draws:
            draws.setdefault(draw.budget, draw)
    for draw in call.key.draws:
        draws.setdefault(draw.budget, draw)
    return tuple(draws.values())


# -- sources -------------------------------------------------------------------------------------


def _client_tags(call: Call) -> Iterator[Sourced]:
    """Sources 1 to 4: the body's three places, then the headers."""
    body = call.body
    found = [
        *_listed(call.metadata.get("tags"), "metadata.tags"),
        *_listed((body.get("litellm_metadata") or {}).get("tags"), "litellm_metadata.tags"),
        *_listed(body.get("tags"), "tags"),
    ]
    for header in TAG_HEADERS:
        if text := call.headers.get(header):
            found += [(item, header) for item in _header_text(text, header).split(",")]
    if found and settings.REJECT_CLIENT_TAGS:
        text = "Tags are set by the operator here; a call may not bring its own."
        raise bad_request("client_tags_rejected", text, "metadata.tags")
    yield from found


def _listed(value: Any, place: str) -> list[Sourced]:
    """A list of strings, or one string, which is one tag; anything else is refused."""
    if value is None:
        return []
    if isinstance(value, str):
        return [(value, place)]
    if not isinstance(value, list):
        raise bad_request("invalid_tag", f"'{place}' must be a list of strings.", place)
    if len(value) > LISTED_MAX:
        text = f"'{place}' has {len(value)} items; a call has at most a few tags."
        raise bad_request("too_many_tags", text, place)
    for n, item in enumerate(value):
        if not isinstance(item, str):
            spot = f"{place}[{n}]"
            raise bad_request("invalid_tag", f"'{spot}' must be a string.", spot)
    return [(item, f"{place}[{n}]") for n, item in enumerate(value)]


def _ruled_tags(headers: Mapping[str, str]) -> Iterator[Sourced]:
    """Sources 5 and 6: what the operator's rules make of headers."""
    for rule in settings.TAG_HEADER_RULES:
        if header := rule.get("header"):
            text = _header_text(headers.get(header.lower(), ""), header)
        else:
            text = _baggage_member(headers.get("baggage", ""), rule["baggage"])
        for value in text.split(","):
            if value.strip():
                yield rule.get("prefix", "") + value.strip(), header or "baggage"
    if settings.TAG_USER_AGENT and (agent := headers.get("user-agent")):
        product = agent.split()[0].partition("/")[0] if agent.split() else ""
        if product:
            yield f"User-Agent: {product}", "user-agent"


def _baggage_member(baggage: str, name: str) -> str:
    """The value of one member of a W3C `baggage` header, without its properties."""
    for member in baggage.split(","):
        key, _, value = member.partition("=")
        if key.strip() == name:
            return value.partition(";")[0].strip()
    return ""


def _header_text(text: str, header: str) -> str:
    """Headers arrive as Latin-1; tags in them are UTF-8."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        raise bad_request("invalid_tag", f"'{header}' must be UTF-8.", header) from None


cleaned = lru_cache(CLEANED_MAX)(clean_tag)


def _merge(found: Iterator[Sourced]) -> list[str]:
    """Trimmed, blank ones dropped, repeats dropped; the first place wins."""
    names: dict[str, None] = {}
    for text, place in found:
        try:
            name = cleaned(text)
        except BadTag as error:
            raise bad_request("invalid_tag", f"'{place}': {error}", place) from None
        if name:
            names[name] = None
    return list(names)


# -- rules ---------------------------------------------------------------------------------------


def check_key_rules(key: KeyCard, brought: Sequence[str], names: Sequence[str]) -> None:
    """`brought` are the client's own, `names` all of the call. Raises Failure."""
    allowed = key.allowed_tags
    if allowed is not None:
        for name in brought:
            if name not in key.default_tags and not fits_any(name, allowed):
                raise _refused(403, "tag_not_allowed", f"This key may not use the tag '{name}'.")
    for pattern in key.required_tags:
        if not any(fits(name, pattern) for name in names):
            text = f"Calls with this key must carry a tag that fits '{pattern}'."
            raise bad_request("missing_required_tag", text, "metadata.tags")


async def _admit_unknown(name: str, call: Call, directory: Directory) -> TagCard | None:
    """The unknown-tag policy: track, reject, or create from a template."""
    match settings.UNKNOWN_TAGS:
        case "reject":
            raise bad_request("unknown_tag", f"The tag '{name}' is not known.", "metadata.tags")
        case "create":
            return await create_from_template(name, call.key, directory)
    return None


def _refused(status: int, type_: str, text: str) -> Failure:
    return Failure(status, type_, text, "metadata.tags")
