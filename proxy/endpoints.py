"""Endpoints: what is particular to each path that a call may take, as values.

The journey is the same for all of them: it asks the call's endpoint, and never for its name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxy.call import Call, read_flag
from proxy.error_forms import ANTHROPIC_ERRORS, OPENAI_ERRORS, RESPONSES_ERRORS, ErrorForm
from proxy.event_metering import MessagesMeter, ResponsesMeter
from proxy.members import (
    check_completions,
    check_rerank,
    check_responses,
    check_speech,
    is_spoken_in_events,
)
from proxy.metering import Meter
from proxy.sizing import chat_size
from proxy.sound import TranscriptionMeter, transcription_size
from proxy.streaming import EVENT_BYTES_MAX
from proxy.text_sizing import completions_size, embeddings_size, messages_size, responses_size
from proxy.unit_metering import (
    CompletionsMeter,
    FreeMeter,
    ImagesMeter,
    InputMeter,
    ModerationsMeter,
    RerankMeter,
    SpeechMeter,
)
from proxy.unit_sizing import free_size, images_size, moderations_size, rerank_size, speech_size
from proxy.upstreams.bodies import no_metadata, stored_metadata, text_pairs, user_metadata
from spend.estimate import ModelLimits, Size
from spend.pricing import Tariff

if TYPE_CHECKING:
    from proxy.routing import Route

Body = Mapping[str, Any]
LARGE_EVENT_BYTES = 16 * 1024 * 1024  # for events that repeat a whole answer, or hold an image


def is_streamed(body: Body) -> bool:
    return read_flag(body, "stream")


def is_never_streamed(body: Body) -> bool:
    read_flag(body, "stream")  # checked all the same, as it is forwarded
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`name` is the path behind the prefix: here, in the log, and at the upstream.

    `check` refuses members that are wrong here, `passed_metadata` is what of `metadata` the
    upstream defines, `cap_fields` are the spellings of the output's limit, the newest first.
    """

    name: str
    size_of: Callable[[Call, Tariff, ModelLimits], Size]
    meter: "Callable[[Call, Route], Meter]"
    errors: ErrorForm = OPENAI_ERRORS
    check: Callable[[Body], None] | None = None
    is_stream: Callable[[Body], bool] = is_never_streamed
    passed_metadata: Callable[[Body], Mapping[str, str]] = no_metadata
    cap_fields: tuple[str, ...] = ()
    asks_for_usage: bool = False  # a stream tells it only if `stream_options` say so
    continues: str = ""  # the member that names an earlier answer
    accepts: str = "application/json"
    answers_in: tuple[str, ...] = ()  # the media types of answers that are no JSON
    may_say_nothing: bool = False  # such an answer may be empty
    takes_form: bool = False
    event_bytes_max: int = EVENT_BYTES_MAX
    is_free: bool = False
    is_free_unless_priced: bool = False


CHAT = Endpoint(
    name="chat/completions",
    size_of=chat_size,
    meter=Meter,
    is_stream=is_streamed,
    passed_metadata=stored_metadata,
    cap_fields=("max_completion_tokens", "max_tokens"),
    asks_for_usage=True,
)
COMPLETIONS = Endpoint(
    name="completions",
    size_of=completions_size,
    meter=CompletionsMeter,
    check=check_completions,
    is_stream=is_streamed,
    cap_fields=("max_tokens",),
    asks_for_usage=True,
)
EMBEDDINGS = Endpoint(name="embeddings", size_of=embeddings_size, meter=InputMeter)
RESPONSES = Endpoint(
    name="responses",
    size_of=responses_size,
    meter=ResponsesMeter,
    errors=RESPONSES_ERRORS,
    check=check_responses,
    is_stream=is_streamed,
    passed_metadata=text_pairs,
    cap_fields=("max_output_tokens",),
    continues="previous_response_id",
    event_bytes_max=LARGE_EVENT_BYTES,
)
MESSAGES = Endpoint(
    name="messages",
    size_of=messages_size,
    meter=MessagesMeter,
    errors=ANTHROPIC_ERRORS,
    is_stream=is_streamed,
    passed_metadata=user_metadata,
    cap_fields=("max_tokens",),
)
COUNT_TOKENS = Endpoint(
    name="messages/count_tokens",
    size_of=free_size,
    meter=FreeMeter,
    errors=ANTHROPIC_ERRORS,
    is_free=True,
)
IMAGES = Endpoint(
    name="images/generations",
    size_of=images_size,
    meter=ImagesMeter,
    is_stream=is_streamed,
    event_bytes_max=LARGE_EVENT_BYTES,
)
SPEECH = Endpoint(
    name="audio/speech",
    size_of=speech_size,
    meter=SpeechMeter,
    check=check_speech,
    is_stream=is_spoken_in_events,
    accepts="*/*",
    answers_in=("audio/", "application/octet-stream"),
)
TRANSCRIPTIONS = Endpoint(
    name="audio/transcriptions",
    size_of=transcription_size,
    meter=TranscriptionMeter,
    is_stream=is_streamed,
    accepts="*/*",
    answers_in=("text/plain", "text/vtt", "application/x-subrip", "text/srt"),
    may_say_nothing=True,
    takes_form=True,
)
MODERATIONS = Endpoint(
    name="moderations",
    size_of=moderations_size,
    meter=ModerationsMeter,
    is_free_unless_priced=True,
)
RERANK = Endpoint(name="rerank", size_of=rerank_size, meter=RerankMeter, check=check_rerank)

ENDPOINTS = (
    CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, MESSAGES, COUNT_TOKENS, IMAGES, SPEECH,
    TRANSCRIPTIONS, MODERATIONS, RERANK,
)  # fmt: skip
