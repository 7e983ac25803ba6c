"""Sound length: how long a file of sound is, by what its head says."""

import wave
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from tinytag import TinyTag, TinyTagException

BYTES_PER_MS_UNKNOWN = 1  # 8 kbit a second: speech is hardly ever smaller than that
MS_MAX = 100 * 3_600_000


@dataclass(frozen=True, slots=True)
class Length:
    """`is_certain` when no decoder can find more in the file, `is_guessed` when no head told it."""

    milliseconds: int
    is_certain: bool = False
    is_guessed: bool = False


def length_of(file: IO[bytes], size: int) -> Length:
    """Uncompressed sound is measured, compressed sound tells its length, the rest is guessed.

    A head that tells nothing, or days, is not believed.
    """
    measured = measure_wave(file, size)
    if measured is not None:
        return Length(min(measured, MS_MAX), is_certain=True)
    told = read_head(file)
    if told is not None and 0 < told <= MS_MAX:
        return Length(told)
    return Length(min(max(1, size // BYTES_PER_MS_UNKNOWN), MS_MAX), is_guessed=True)


def measure_wave(file: IO[bytes], size: int) -> int | None:
    """By the bytes that are there, whatever number of samples the head claims."""
    file.seek(0)
    try:
        with wave.open(file, "rb") as sound:
            bytes_per_second = sound.getframerate() * sound.getnchannels() * sound.getsampwidth()
    except (wave.Error, EOFError, OSError, ValueError):
        return None
    return -(-size * 1_000 // bytes_per_second) if bytes_per_second else None


def read_head(file: IO[bytes]) -> int | None:
    """Milliseconds, as far as the kind of file is known."""
    file.seek(0)
    with suppress(TinyTagException, OSError, ValueError, EOFError, ArithmeticError):
        seconds = TinyTag.get(file_obj=cast(BinaryIO, file), tags=False).duration
        return None if seconds is None else round(seconds * 1_000)
    return None
