"""Form: a call whose body is multipart/form-data; its fields, and the file that came with it.

The whole of it is read before anything is decided: the model and the tags may come behind the file,
and whoever tries again sends the file again. What is large lies on disk meanwhile.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from proxy.errors import Failure, bad_request
from proxy.form_members import read_members
from proxy.incoming import CLOSE, FORM_BYTES_MAX, Receive, read_chunks, refuse_compressed
from proxy.upload import Upload

PARTS_MAX = 100
FIELDS_BYTES_MAX = 1024 * 1024
FILE = "file"


@dataclass(frozen=True, slots=True)
class Form:
    """`body` is what the same call would hold as JSON, without its file."""

    body: dict[str, Any]
    upload: Upload


async def read_form(headers: Mapping[str, str], receive: Receive) -> Form:
    """Raises Failure: 408, 413, 415, or what is wrong with the form."""
    reading = Reading(boundary_of(headers.get("content-type", "")))
    refuse_compressed(headers)
    form = None
    try:
        async for chunk in read_chunks(headers, receive, bytes_max=FORM_BYTES_MAX):
            reading.feed(chunk)
        whole = reading.end()
        await asyncio.to_thread(whole.upload.measure)  # strangers' files are read there
        form = whole
        return form
    finally:
        if form is None:
            reading.drop()


def boundary_of(content_type: str) -> bytes:
    media_type, options = parse_options_header(content_type)
    if media_type != b"multipart/form-data":
        text = "The body must be a form, sent as multipart/form-data."
        raise Failure(415, "unsupported_media_type", text, headers=CLOSE)
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:  # RFC 2046, 5.1.1
        raise broken("its boundary is missing or too long")
    return boundary


def broken(why: str) -> Failure:
    return bad_request("invalid_parameter", f"The body is not a valid form: {why}.")


class Reading:
    """A form that is on its way, part by part."""

    def __init__(self, boundary: bytes) -> None:
        self._fields: list[tuple[str, str]] = []
        self._upload: Upload | None = None
        self._parts = 0
        self._field_bytes = 0
        self._is_whole = False
        self._begin_part()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_begin": self._begin_header,
                "on_header_field": self._take_header_name,
                "on_header_value": self._take_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._take_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
            FORM_BYTES_MAX,
        )

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise broken("a part is not as it should be") from None

    def end(self) -> Form:
        if not self._is_whole:
            raise broken("its end is missing")
        if self._upload is None:
            raise bad_request("invalid_parameter", "'file' must be a file.", FILE)
        return Form(read_members(self._fields), self._upload)

    def drop(self) -> None:
        if self._upload is not None:
            self._upload.close()

    # -- the parser's side -------------------------------------------------------------------------

    def _begin_part(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._value = bytearray()
        self._name = ""
        self._is_file = False

    def _begin_header(self) -> None:
        self._header_name = self._header_value = b""

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value

    def _end_headers(self) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise broken(f"it has more than {PARTS_MAX} parts")
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or not options.get(b"name"):
            raise broken("a part has no name")
        self._name = _text(options[b"name"], "the name of a part")
        filename = options.get(b"filename")
        self._is_file = filename is not None
        if filename is None:
            return
        if self._name != FILE or self._upload is not None:
            raise bad_request("invalid_parameter", "A call takes one file, as 'file'.", self._name)
        self._upload = Upload(
            _text(filename, "the name of the file"),
            self._headers.get(b"content-type", b"").decode("latin-1"),
        )

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file and self._upload is not None:
            self._upload.write(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > FIELDS_BYTES_MAX:
            text = "The fields of the form are larger than 1 MiB."
            raise Failure(413, "request_too_large", text, headers=CLOSE)
        self._value += data[start:end]

    def _end_part(self) -> None:
        if not self._is_file:
            self._fields.append((self._name, _text(bytes(self._value), f"'{self._name}'")))

    def _end(self) -> None:
        self._is_whole = True


def _text(raw: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise broken(f"{what} is not UTF-8") from None
