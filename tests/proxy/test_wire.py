"""JSON in and out of management paths: exact money, plain times, and what is no JSON."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from uuid import UUID

import pytest
from django.core.handlers.asgi import ASGIRequest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from proxy.wire import is_json, number_text, parse_object, time_text, write_json
from spend.money import DOLLARS_MAX, NANOS_PER_DOLLAR, parse_dollars, to_dollars
from tags.api import NewTagView


def test_it_reads_numbers_exactly():
    found = parse_object(b'{"a": 0.1, "b": 5e-1, "c": 7, "d": -0.000000001, "e": 1E3}')

    assert found == {
        "a": Decimal("0.1"), "b": Decimal("0.5"), "c": 7, "d": Decimal("-1e-9"), "e": 1000,
    }  # fmt: skip
    assert isinstance(found["a"], Decimal)
    assert isinstance(found["c"], int)


def test_it_takes_the_last_of_duplicate_members():
    assert parse_object(b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}') == {"a": 3, "b": {"c": 2}}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": 1,}', "not valid JSON"),
        (b'{"a": 01}', "not valid JSON"),
        (b'{"a": "\x01"}', "not valid JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "not valid JSON"),
        (b"[1]", "must be a JSON object"),
        (b'"a"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a": NaN}', "NaN, which is no JSON"),
        (b'{"a": [Infinity]}', "Infinity, which is no JSON"),
        (b'{"a": -Infinity}', "-Infinity, which is no JSON"),
        (b'{"a": 1e309}', "too large"),
        (b'{"a": -1e309}', "too large"),
        (b'{"a": 1e99999999999999999999}', "too large"),
        (b'{"a": 9223372036854775808}', "64 bits"),
        (b'{"a": -99999999999999999999}', "64 bits"),
        (b'{"a": ' + b"9" * 100_000 + b"}", "64 bits"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'{"a": [["\\ud83d"]]}', "surrogate"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a":' * 64 + b"{}" + b"}" * 64, "deeper than 64"),
        (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "deeper than 64"),
        (b'{"a":' + b"[" * 100_000, "deeper than 64"),
    ],
)
def test_it_refuses_what_is_no_json(body, says):
    with pytest.raises(ParseError, match=says):
        parse_object(body)


def test_it_takes_sixty_four_levels_and_whole_pairs():
    deep = b'{"a":' + b"[" * 63 + b"]" * 63 + b"}"

    assert parse_object(deep)
    assert parse_object(b'{"a": "\\ud83d\\ude80", "b": 9223372036854775807}') == {
        "a": "\U0001f680",
        "b": 2**63 - 1,
    }


@given(st.integers(0, DOLLARS_MAX * NANOS_PER_DOLLAR))
def test_it_carries_every_amount_unchanged(nanos):
    written = write_json({"spend": to_dollars(nanos)})

    assert parse_dollars(parse_object(written)["spend"]) == nanos
    assert parse_dollars(Decimal(repr(json.loads(written)["spend"]))) == nanos  # read as a float


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("500", "500.0"),
        ("500.000", "500.0"),
        ("0", "0.0"),
        ("0E-9", "0.0"),
        ("245.50", "245.5"),
        ("1E-9", "0.000000001"),
        ("2.5E-6", "0.0000025"),
        ("8E+6", "8000000.0"),
        ("-0.25", "-0.25"),
    ],
)
def test_it_writes_numbers_without_exponent(number, text):
    assert number_text(Decimal(number)) == text
    assert write_json([Decimal(number)]) == f"[{text}]".encode()


def test_it_writes_times_in_utc():
    berlin = timezone(timedelta(hours=1))
    at = datetime(2025, 10, 11, 1, 0, 0, 999_999, tzinfo=berlin)

    assert time_text(at) == "2025-10-11T00:00:00Z"
    assert write_json({"at": at, "day": date(2025, 10, 11)}) == (
        b'{"at":"2025-10-11T00:00:00Z","day":"2025-10-11"}'
    )
    assert write_json(at, milliseconds=True) == b'"2025-10-11T00:00:00.999Z"'
    assert (
        time_text(datetime(2025, 1, 1, tzinfo=UTC), milliseconds=True) == "2025-01-01T00:00:00.000Z"
    )


def test_it_writes_ids_and_refuses_what_has_no_place():
    assert write_json(UUID(int=1)) == b'"00000000-0000-0000-0000-000000000001"'
    assert write_json({"a": (1, 2)}) == b'{"a":[1,2]}'
    with pytest.raises(TypeError):
        write_json(object())


@pytest.mark.parametrize(
    ("content_type", "takes"),
    [
        ("", True),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/vnd.api+json", True),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=x", False),
        ("application/jsonx", False),
    ],
)
def test_it_tells_json_by_its_content_type(content_type, takes):
    assert is_json(content_type) is takes


# -- on a path -----------------------------------------------------------------------------------


def error_of(response):
    body = response.json()
    assert body["detail"] == body["error"]["message"]
    return (
        response.status_code,
        body["error"]["type"],
        body["error"]["param"],
        body["error"]["code"],
    )


@pytest.mark.parametrize("path", ["/tag/new", "/tag/new/", "/key/generate", "/budget/new"])
def test_it_refuses_bad_json_on_management_paths(management, path):
    response = management.post(path, b'{"a": NaN}', content_type="application/json")

    assert error_of(response) == (400, "invalid_json", None, "400")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_it_refuses_other_media_types(management, content_type):
    response = management.post("/tag/new", b'{"name": "a"}', content_type=content_type)

    assert error_of(response) == (415, "unsupported_media_type", None, "415")
    assert response.headers["Connection"] == "close"


def test_it_refuses_other_encodings(management):
    response = management.post(
        "/tag/new", b"{}", content_type="application/json", headers={"content-encoding": "gzip"}
    )

    assert error_of(response) == (415, "unsupported_media_type", None, "415")


def test_it_refuses_more_than_twenty_mebibytes(management):
    body = b'{"name": "' + b"a" * (20 * 1024 * 1024) + b'"}'

    response = management.post("/tag/new", body, content_type="application/json")

    assert error_of(response) == (413, "request_too_large", None, "413")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "content_type", ["", "application/json; charset=utf-8", "application/a+json"]
)
def test_it_takes_json_however_it_is_named(management, content_type):
    response = management.generic(
        "POST", "/tag/new", '{"name": "caf\u00e9"}', content_type=content_type
    )

    assert response.status_code == 200
    assert response.json()["name"] == "caf\u00e9"


@pytest.mark.django_db
def test_it_takes_a_body_that_comes_in_chunks(settings):
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/tag/new",
        "headers": [
            (b"transfer-encoding", b"chunked"),
            (b"authorization", b"Bearer " + settings.MASTER_KEY.encode()),
        ],
    }
    request = ASGIRequest(scope, BytesIO(b'{"name": "a"}'))

    response = NewTagView.as_view()(request)

    assert response.status_code == 200
    assert response.data["name"] == "a"


def test_it_answers_json_whatever_is_accepted(management):
    response = management.get("/tag/new", headers={"accept": "text/html"})

    assert error_of(response) == (405, "method_not_allowed", None, "405")
    assert response.headers["Allow"].split(", ") == ["POST", "OPTIONS"]
    assert response.headers["Content-Type"] == "application/json"
