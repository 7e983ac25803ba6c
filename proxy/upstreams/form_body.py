"""Form body: a form and its file as they are sent to an upstream, piece by piece (RFC 7578)."""

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from proxy.upload import Upload

MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
# As browsers write names, after the HTML standard's "multipart/form-data encoding algorithm".
QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class FormBody:
    def __init__(self, members: Mapping[str, Any], upload: Upload) -> None:
        boundary = secrets.token_hex(16)
        self.media_type = f"multipart/form-data; boundary={boundary}"
        self._upload = upload
        fields = "".join(
            f'--{boundary}\r\ncontent-disposition: form-data; name="{name.translate(QUOTED)}"'
            f"\r\n\r\n{text}\r\n"
            for name, text in texts_of(members)
        )
        kind = upload.media_type
        self._head = (
            f'{fields}--{boundary}\r\ncontent-disposition: form-data; name="file";'
            f' filename="{upload.filename.translate(QUOTED)}"\r\ncontent-type: '
            f"{kind if MEDIA_TYPE.fullmatch(kind) else 'application/octet-stream'}\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.size = len(self._head) + upload.size + len(self._tail)

    def chunks(self) -> Iterator[bytes]:
        yield self._head
        yield from self._upload.chunks()
        yield self._tail


def texts_of(members: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in members.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                yield name, item if isinstance(item, str) else str(item).lower()
