"""Upload: the file that came with a call; in memory while it is small, else on disk."""

from collections.abc import Iterator
from tempfile import SpooledTemporaryFile

from proxy.sound_length import Length, length_of

MEMORY_BYTES_MAX = 256 * 1024
CHUNK_BYTES = 64 * 1024


class Upload:
    """`filename` and `media_type` are what the client says of it; `length` is that of its sound.

    It is read as often as it is sent.
    """

    __slots__ = ("_file", "filename", "length", "media_type", "size")

    def __init__(self, filename: str, media_type: str) -> None:
        self.filename = filename
        self.media_type = media_type
        self.size = 0  # bytes
        self._file = SpooledTemporaryFile(max_size=MEMORY_BYTES_MAX)  # noqa: SIM115 - close()
        self.length = Length(0, is_guessed=True)  # until it was measured

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self.size += len(chunk)

    def chunks(self) -> Iterator[bytes]:
        at = 0
        while at < self.size:
            self._file.seek(at)  # somebody else may have read meanwhile
            chunk = self._file.read(CHUNK_BYTES)
            at += len(chunk)
            yield chunk

    def measure(self) -> None:
        self.length = length_of(self._file, self.size)

    def close(self) -> None:
        self._file.close()
