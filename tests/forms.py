"""Forms: a multipart body as a client sends it, and sound to put into it."""

import io
import json
import struct
import wave
from dataclasses import dataclass
from typing import Any

BOUNDARY = "test-boundary-0123456789"


def wav(seconds: float = 1.0, rate: int = 8_000) -> bytes:
    """Silence, 16 bits, one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(b"\0\0" * int(seconds * rate))
    return file.getvalue()


def flac(seconds: int) -> bytes:
    """A head that tells its length, and hardly any sound."""
    rate, samples = 16_000, seconds * 16_000
    bits = (rate << 44) | (0 << 41) | (15 << 36) | samples
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + bits.to_bytes(8, "big") + bytes(16)
    return b"fLaC" + b"\x80" + len(info).to_bytes(3, "big") + info + bytes(100)


@dataclass(frozen=True)
class File:
    name: str
    media_type: str
    content: bytes


HELLO = File("hello.wav", "audio/wav", wav())


@dataclass(frozen=True)
class Form:
    """`fields` are texts, lists of them, or what is written as JSON."""

    fields: dict[str, Any]
    file: File | None = HELLO
    file_first: bool = False

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={BOUNDARY}"

    @property
    def raw(self) -> bytes:
        parts = [
            self._part(f'name="{name}"', "", text.encode())
            for name, value in self.fields.items()
            for text in self._texts(value)
        ]
        if self.file is not None:
            where = f'name="file"; filename="{self.file.name}"'
            kind = f"Content-Type: {self.file.media_type}\r\n"
            parts.insert(
                0 if self.file_first else len(parts), self._part(where, kind, self.file.content)
            )
        return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()

    @staticmethod
    def _texts(value: Any) -> list[str]:
        values = value if isinstance(value, list) else [value]
        return [item if isinstance(item, str) else json.dumps(item) for item in values]

    @staticmethod
    def _part(where: str, kind: str, content: bytes) -> bytes:
        head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {where}\r\n{kind}\r\n"
        return head.encode() + content + b"\r\n"
