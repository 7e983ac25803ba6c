"""Members: what an endpoint's own members may be, as far as we read them."""

from collections.abc import Mapping
from typing import Any

from proxy.call import CHOICES_MAX, read_count, read_flag
from proxy.errors import bad_request

Body = Mapping[str, Any]


def check_completions(body: Body) -> None:
    read_count(body, "best_of", at_most=CHOICES_MAX)


def check_responses(body: Body) -> None:
    """Raises Failure: what runs in the background would be billed after its answer was given."""
    if read_flag(body, "background"):
        text = "'background' cannot be true: the cost would be known after the answer only."
        raise bad_request("unsupported_parameter", text, "background")
    previous = body.get("previous_response_id")
    if not isinstance(previous, str | None) or (previous and "\0" in previous):
        text = "'previous_response_id' must be the id of a response."
        raise bad_request("invalid_parameter", text, "previous_response_id")


def check_speech(body: Body) -> None:
    """It is billed by the characters of its text."""
    if not isinstance(body.get("input"), str):
        raise bad_request("invalid_parameter", "'input' must be a text.", "input")


def is_spoken_in_events(body: Body) -> bool:
    read_flag(body, "stream")
    form = body.get("stream_format")
    if not isinstance(form, str | None):
        raise bad_request("invalid_parameter", "'stream_format' must be a text.", "stream_format")
    return form == "sse"


def check_rerank(body: Body) -> None:
    if not isinstance(body.get("query"), str):
        raise bad_request("invalid_parameter", "'query' must be a text.", "query")
    documents = body.get("documents")
    if not isinstance(documents, list) or not documents:
        text = "'documents' must be a list with at least one document."
        raise bad_request("invalid_parameter", text, "documents")
