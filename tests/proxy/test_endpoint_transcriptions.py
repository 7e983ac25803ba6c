"""POST /audio/transcriptions: a form with a file, billed by tokens or by seconds."""

from decimal import Decimal

import pytest

from proxy import form as form_file
from proxy import incoming, upload
from proxy.upstreams.contract import Broken, Unsent
from tests.endpoint_answers import UNPRICED_SIDES, event_stream, transcription, typed
from tests.factories import make_key, make_model, make_tag
from tests.fakes import Reply, json_reply
from tests.forms import HELLO, File, Form, flac, wav

BY_SECONDS = {"input_cost_per_second": Decimal("0.0001")}
BY_TOKENS = {"input_cost_per_audio_token": Decimal("0.000006")}
TOKENS = {
    "type": "tokens",
    "input_tokens": 14,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
    "output_tokens": 45,
    "total_tokens": 59,
}
SILENT_BYTES = File("noise.bin", "application/octet-stream", bytes(4_000))


@pytest.fixture
def model(books):
    return make_model(prices=BY_SECONDS, **UNPRICED_SIDES)


@pytest.fixture
def token_model(books):
    return make_model(input="2.5", output="10", prices=BY_TOKENS)


def send(gateway, model, key, *, file=HELLO, file_first=False, **fields):
    form = Form({"model": model.model_name, **fields}, file, file_first)
    return gateway.call("POST", "/v1/audio/transcriptions", key=key, body=form)


def plain_text(text: bytes, kind: str = "text/plain; charset=utf-8") -> Reply:
    return Reply(200, {"content-type": kind}, [text])


# -- what is billed ------------------------------------------------------------------------------


def test_tokens_are_billed_in_their_parts(gateway, upstream, books, key, token_model):
    upstream.reply(transcription(TOKENS))

    row = books.row(send(gateway, token_model, key).id)

    assert row.usage == {"input": 4, "audio_input": 10, "output": 45}
    assert row.cost == 4 * 2_500 + 10 * 6_000 + 45 * 10_000
    assert (row.status, row.usage_source, row.flags) == ("success", "upstream", [])


def test_what_is_not_told_to_be_text_is_sound(gateway, upstream, books, key, token_model):
    upstream.reply(transcription({"input_tokens": 14, "output_tokens": 1, "total_tokens": 15}))

    assert books.row(send(gateway, token_model, key).id).usage == {"audio_input": 14, "output": 1}


@pytest.mark.parametrize(
    ("said", "milliseconds", "source"),
    [
        ({"usage": {"type": "duration", "seconds": 9}}, 9_000, "upstream"),
        ({"duration": 8.4701}, 8_470, "upstream"),
        ({"duration": "8.47"}, 8_470, "upstream"),
        ({"usage": {"type": "duration", "seconds": -1}, "duration": 2}, 2_000, "upstream"),
        ({"usage": {"type": "duration", "seconds": True}}, 1_003, "counted"),
        ({"usage": TOKENS}, 1_003, "counted"),  # those have no price here
        ({}, 1_003, "counted"),
    ],
    ids=str,
)
def test_seconds_are_those_that_are_told_or_those_of_the_file(
    gateway, upstream, books, key, model, said, milliseconds, source
):
    upstream.reply(json_reply({"text": "Hello!", **said}))

    row = books.row(send(gateway, model, key).id)

    assert (row.usage, row.usage_source) == ({"input_ms": milliseconds}, source)
    assert row.cost == milliseconds * 100


def test_the_length_of_compressed_sound_is_that_of_its_head(gateway, upstream, books, key, model):
    upstream.reply(json_reply({"text": "Hello!"}))

    row = books.row(send(gateway, model, key, file=File("a.flac", "audio/flac", flac(90))).id)

    assert (row.usage, row.flags) == ({"input_ms": 90_000}, [])


def test_a_length_that_no_head_tells_is_guessed_and_flagged(gateway, upstream, books, key, model):
    upstream.reply(json_reply({"text": "Hello!"}))

    row = books.row(send(gateway, model, key, file=SILENT_BYTES).id)

    assert (row.usage, row.flags) == ({"input_ms": 4_000}, ["guessed_length"])
    upstream.reply(transcription())
    assert books.row(send(gateway, model, key, file=SILENT_BYTES).id).flags == []


def test_tokens_that_are_not_told_are_counted(gateway, upstream, books, key, token_model):
    upstream.reply(json_reply({"text": "Hello there, you!"}))

    row = books.row(send(gateway, token_model, key, prompt="Names: Ana").id)

    assert (row.usage["audio_input"], row.usage["output"]) == (17, 5)  # a second; 17 bytes
    assert row.usage_source == "counted"


@pytest.mark.parametrize(
    ("form", "kind"),
    [("text", "text/plain; charset=utf-8"), ("srt", "application/x-subrip"), ("vtt", "text/vtt")],
)
def test_texts_pass_as_they_are(gateway, upstream, books, key, model, form, kind):
    upstream.reply(plain_text(b"Hello!\n", kind))

    answer = send(gateway, model, key, response_format=form)

    assert (answer.status, answer.body) == (200, b"Hello!\n")
    assert answer.headers["content-type"] == kind
    row = books.row(answer.id)
    assert (row.status, row.usage_source, row.cost) == ("success", "counted", 100_300)


def test_silence_is_an_empty_text(gateway, upstream, books, key, model):
    upstream.reply(plain_text(b""))

    answer = send(gateway, model, key, response_format="text")

    assert (answer.status, answer.body) == (200, b"")
    assert books.row(answer.id).status == "success"


def test_it_works_in_events(gateway, upstream, books, key, token_model):
    events = typed(
        {"type": "transcript.text.delta", "delta": "Hel"},
        {"type": "transcript.text.delta", "delta": "lo!"},
        {"type": "transcript.text.done", "text": "Hello!", "usage": TOKENS},
    )
    upstream.reply(event_stream(*events))

    answer = send(gateway, token_model, key, stream="true")

    assert answer.body == b"".join(events)
    assert upstream.last.headers["accept"] == "text/event-stream"
    assert upstream.last.body["stream"] == "true"
    row = books.row(answer.id)
    assert (row.stream, row.usage_source, row.cost) == (True, "upstream", 520_000)


def test_a_stream_that_is_cut_is_billed_for_all_that_was_heard(
    gateway, upstream, books, key, token_model
):
    delta = typed({"type": "transcript.text.delta", "delta": "Hello!!!"})
    upstream.reply(event_stream(*delta, Broken("cut")))

    row = books.row(send(gateway, token_model, key, stream="true").id)

    assert (row.status, row.usage["audio_input"], row.usage["output"]) == ("estimated", 17, 2)


# -- the form ------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_first", [False, True])
@pytest.mark.parametrize("memory_bytes", [256, 10**6])
def test_the_file_goes_on_as_it_came(
    gateway, upstream, books, key, model, monkeypatch, file_first, memory_bytes
):
    """In memory or on disk, in front of the model's name or behind it, in one piece or in many."""
    monkeypatch.setattr(upload, "MEMORY_BYTES_MAX", memory_bytes)
    monkeypatch.setattr(upload, "CHUNK_BYTES", 1_000)
    upstream.reply(transcription())
    file = File('a "b"\u00fc.wav', "audio/x-wav", wav(0.5))
    fields = {
        "model": model.model_name,
        "language": "de",
        "timestamp_granularities[]": ["word", "x"],
    }
    form = Form(fields, file, file_first)

    answer = gateway.call(
        "POST", "/v1/audio/transcriptions", key=key, body=form.raw, slices=7,
        headers={"content-type": form.content_type},
    )  # fmt: skip

    assert answer.status == 200
    sent = upstream.last.body
    assert sent["file"] == ("a %22b%22\u00fc.wav", "audio/x-wav", file.content)
    assert (sent["language"], sent["timestamp_granularities[]"]) == ("de", ["word", "x"])
    assert upstream.last.headers["content-type"].startswith("multipart/form-data; boundary=")


TAGGED = {
    "json": {"metadata": {"tags": ["a", "b"]}},
    "brackets": {"metadata[tags][]": ["a", "b"]},
    "numbers": {"metadata[tags][0]": "a", "metadata[tags][1]": "b"},
    "one": {"metadata[tags]": "a", "tags": "b"},
    "root": {"tags": ["a", "b"]},
    "root in brackets": {"tags[]": ["a", "b"]},
    "litellm": {"litellm_metadata": {"tags": ["a", "b"]}},
}


@pytest.mark.parametrize("way", TAGGED)
def test_tags_come_as_json_or_in_brackets(gateway, upstream, books, key, model, way):
    upstream.reply(transcription())

    answer = send(gateway, model, key, **TAGGED[way])

    assert answer.headers["x-tollgate-tags"] == "a,b"
    assert set(upstream.last.body) == {"model", "file"}


def test_the_rest_of_its_metadata_is_logged(gateway, upstream, books, key, model):
    upstream.reply(transcription())

    answer = send(gateway, model, key, **{"metadata[session_id]": "s-1", "user": "u-1"})

    row = books.row(answer.id)
    assert (row.session_id, row.end_user) == ("s-1", "u-1")


WRONG_FIELDS = {
    "metadata": ["nonsense", "[1]", "5"],
    "litellm_metadata": ["{"],
    "stream": ["yes", "1"],
    "metadata[a][][b]": ["x"],
    "num_retries": ["many"],
}


@pytest.mark.parametrize(("field", "text"), [(f, t) for f in WRONG_FIELDS for t in WRONG_FIELDS[f]])
def test_a_field_that_is_wrong_is_named(gateway, upstream, key, model, field, text):
    answer = send(gateway, model, key, **{field: text})

    assert (answer.status, answer.error["type"]) == (400, "invalid_parameter")
    assert answer.error["param"] == field.split("[")[0]
    assert upstream.asked == []


def test_what_is_told_in_two_ways_is_refused(gateway, upstream, key, model):
    answer = send(gateway, model, key, **{"tags": "a", "tags[]": "b"})

    assert (answer.status, answer.error["param"]) == (400, "tags")


RAW = Form({"model": "m"}).raw
KIND = Form({}).content_type
BROKEN = {
    "no file": (Form({"model": "m"}, None).raw, KIND, 400, "invalid_parameter"),
    "no end": (RAW[:-20], KIND, 400, "invalid_parameter"),
    "nothing": (b"", KIND, 400, "invalid_parameter"),
    "another boundary": (RAW, "multipart/form-data; boundary=other", 400, "invalid_parameter"),
    "no boundary": (RAW, "multipart/form-data", 400, "invalid_parameter"),
    "no name": (RAW.replace(b'name="model"', b"x=y"), KIND, 400, "invalid_parameter"),
    "another file": (RAW.replace(b'name="file"', b'name="image"'), KIND, 400, "invalid_parameter"),
    "no UTF-8": (
        RAW.replace(b"\r\n\r\nm\r\n", b"\r\n\r\n\xff\r\n"),
        KIND,
        400,
        "invalid_parameter",
    ),
    "JSON": (b'{"model": "m"}', "application/json", 415, "unsupported_media_type"),
    "no kind": (RAW, "", 415, "unsupported_media_type"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_body_that_is_no_form_is_refused(gateway, upstream, key, what):
    raw, kind, status, type_ = BROKEN[what]

    answer = gateway.call(
        "POST", "/v1/audio/transcriptions", key=key, body=raw, headers={"content-type": kind}
    )

    assert (answer.status, answer.error["type"]) == (status, type_)
    assert upstream.asked == []


def test_two_files_are_refused(gateway, upstream, key, model):
    one = Form({"model": model.model_name})
    twice = Form({}, HELLO).raw.removesuffix(b"--\r\n").removesuffix(b"--test-boundary-0123456789")

    answer = gateway.call(
        "POST", "/v1/audio/transcriptions", key=key, body=twice + one.raw,
        headers={"content-type": one.content_type},
    )  # fmt: skip

    assert (answer.status, answer.error["param"]) == (400, "file")


def test_its_bounds_are_its_own(gateway, upstream, key, model, monkeypatch):
    monkeypatch.setattr(form_file, "FORM_BYTES_MAX", 60_000)
    monkeypatch.setattr(form_file, "FIELDS_BYTES_MAX", 500)
    monkeypatch.setattr(form_file, "PARTS_MAX", 5)
    monkeypatch.setattr(incoming, "JSON_BYTES_MAX", 100)
    upstream.reply(transcription())

    assert send(gateway, model, key).status == 200
    assert send(gateway, model, key, file=File("a", "audio/wav", wav(5))).status == 413
    assert send(gateway, model, key, prompt="x" * 501).status == 413
    assert send(gateway, model, key, **{f"a{n}": "" for n in range(5)}).status == 400
    compressed = gateway.call(
        "POST", "/v1/audio/transcriptions", key=key, body=RAW,
        headers={"content-type": KIND, "content-encoding": "gzip"},
    )  # fmt: skip
    assert compressed.error["type"] == "unsupported_media_type"


# -- the journey ---------------------------------------------------------------------------------


def test_it_is_sent_again_whole(gateway, upstream, books, key, model):
    """After a refusal, and after no connection."""
    replies = [
        json_reply({"error": {"message": "Busy.", "type": "busy"}}, status=503),
        transcription(),
    ]
    upstream.answers = lambda asked: replies.pop(0)

    answer = send(gateway, model, key)

    assert (answer.status, len(upstream.asked)) == (200, 2)
    assert upstream.asked[0].body == upstream.asked[1].body


def test_its_file_is_closed_whatever_happens(gateway, upstream, books, key, model, monkeypatch):
    made = []
    monkeypatch.setattr(
        form_file, "Upload", lambda *of: made.append(upload.Upload(*of)) or made[-1]
    )
    replies = [transcription(), Reply(before=[Unsent("no")]), transcription()]
    upstream.answers = lambda asked: replies.pop(0)
    blocked = make_key(tags=(make_tag(limit="0").name,))

    send(gateway, model, key)
    send(gateway, model, key)
    send(gateway, model, blocked)
    send(gateway, model, "sk-wrong")
    send(gateway, model, key, metadata="nonsense")
    gateway.rest()

    assert len(made) == 4
    assert all(each._file.closed for each in made)


def test_a_strict_budget_takes_only_sound_that_can_be_measured(
    gateway, upstream, books, key, model, token_model
):
    tag = make_tag(limit="1", mode="strict")
    upstream.reply(transcription())

    measured = send(gateway, model, key, tags=tag.name)
    told = send(gateway, model, key, tags=tag.name, file=File("a.flac", "audio/flac", flac(9)))
    by_tokens = send(gateway, token_model, key, tags=tag.name)

    assert measured.status == 200
    assert {told.error["type"], by_tokens.error["type"]} == {"cost_not_bounded"}
    gateway.rest()
    assert (books.spent(tag), books.reserved(tag)) == (100_000, 0)
