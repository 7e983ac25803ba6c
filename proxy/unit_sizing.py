"""Unit sizing: how large a call may become that is billed by images, characters or searches."""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.call import Call
from proxy.image_prices import counts_images, counts_tokens, dearest_name, told_name
from proxy.text_sizing import body_bytes, count_texts
from spend.estimate import ModelLimits, Size, text_bound_bytes
from spend.pricing import FREE, Tariff
from spend.usage import Usage

# A search is a query with a hundred documents; one that has more tokens than this, the query's
# with them, counts as several.
SEARCH_DOCUMENTS = 100
DOCUMENT_TOKENS = 500


def images_size(call: Call, tariff: Tariff, limits: ModelLimits) -> Size:
    """By images where they have a price; by tokens, as many as the model may make, where those do.

    No member of the body limits the tokens, so the deployment must say how many there can be.
    """
    by_tokens = counts_tokens(tariff)
    units = Usage()
    if counts_images(tariff):
        units = Usage(images=((_bound_name(call.body, tariff), call.choices),))
    has_no_end = by_tokens and limits.output_tokens_max is None
    return Size(
        text_bytes=body_bytes(call),
        output_tokens_asked=limits.output_tokens_max,
        choices=call.choices,
        may_have_audio=False,
        may_generate=by_tokens,
        output_kind="image_output",
        units=units,
        unbounded="model" if has_no_end else None,
    )


def _bound_name(body: Mapping[str, Any], tariff: Tariff) -> str:
    """Size and quality as they were asked for; the dearest ones, if those are left open."""
    name = told_name(body)
    return name if name in tariff.card.image_prices else dearest_name(tariff)


def speech_size(call: Call, tariff: Tariff, limits: ModelLimits) -> Size:
    """Characters are there to be counted; how many tokens of sound they become is not known."""
    by_characters = tariff.rate("characters") is not None
    return Size(
        text_bytes=body_bytes(call),
        may_generate=not by_characters,
        output_kind="audio_output",
        units=Usage(characters=len(call.body["input"])) if by_characters else Usage(),
        unbounded=None if by_characters else "input",
    )


def moderations_size(call: Call, tariff: Tariff, limits: ModelLimits) -> Size:
    inputs = count_texts(call.body.get("input"))
    return Size(
        text_bytes=body_bytes(call),
        prompts=inputs or 1,
        may_have_audio=False,
        may_generate=False,
        unbounded="input" if inputs is None and tariff is not FREE else None,
    )


def free_size(call: Call, tariff: Tariff, limits: ModelLimits) -> Size:
    """What costs nothing, whatever is asked."""
    return Size(text_bytes=len(call.raw), may_generate=False)


# -- rerank --------------------------------------------------------------------------------------


def rerank_size(call: Call, tariff: Tariff, limits: ModelLimits) -> Size:
    """The query is read again with every document."""
    body = call.body
    documents = body["documents"]
    query_bytes = text_bound_bytes(orjson.dumps(body["query"]))
    by_searches = tariff.rate("searches") is not None
    searches = count_searches(documents, query_bytes) if by_searches else 0
    return Size(
        text_bytes=body_bytes(call) + query_bytes * len(documents),
        prompts=len(documents),
        may_have_audio=False,
        may_generate=False,
        units=Usage(searches=searches or 1) if by_searches else Usage(),
        unbounded=_unbounded_document(documents) or ("query" if searches is None else None),
    )


def count_searches(documents: list[Any], query_bytes: int) -> int | None:
    """At most so many; None if the query leaves documents too little room to tell."""
    room = DOCUMENT_TOKENS - query_bytes
    if room < DOCUMENT_TOKENS // 2:
        return None
    pieces = sum(1 + text_bound_bytes(orjson.dumps(document)) // room for document in documents)
    return -(-pieces // SEARCH_DOCUMENTS)


def _unbounded_document(documents: list[Any]) -> str | None:
    for n, document in enumerate(documents):
        is_text = isinstance(document, str) or (
            isinstance(document, Mapping)
            and document.keys() == {"text"}
            and isinstance(document["text"], str)
        )
        if not is_text:
            return f"documents[{n}]"
    return None
