"""How long a video file says it is: a file shorter than its own headers claim was cut off.

Decoders play what is left of such a file without a word (measured: WebM and MKV), so the headers are read here.
"""

from __future__ import annotations

import io
from typing import BinaryIO

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = 0x18538067
_MP4_BOXES = frozenset(
    (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"moof", b"mfra", b"sidx", b"styp", b"meta")
)


def declared_size(file: BinaryIO) -> int:
    """Return how many bytes the container's top-level headers promise; 0 where they do not say."""
    file.seek(0)
    head = file.read(16)
    if head[:4] == b"RIFF":
        size = int.from_bytes(head[4:8], "little")
        return 0 if size in (0, 0xFFFFFFFF) else 8 + size  # written to a pipe: the size was never filled in
    if head[:4] == _EBML:
        return _matroska_size(file)
    if head[4:8] in _MP4_BOXES:
        return _mp4_size(file)
    return 0


def actual_size(file: BinaryIO) -> int:
    """Return how many bytes there are."""
    return file.seek(0, io.SEEK_END)


def _mp4_size(file: BinaryIO) -> int:
    end, position = actual_size(file), 0
    while position + 8 <= end:
        file.seek(position)
        header = file.read(16)
        size = int.from_bytes(header[:4], "big")
        if header[4:8] not in _MP4_BOXES or size == 0:  # a box of size 0 reaches to the end of the file
            return 0
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if size < 8:
            return 0
        position += size
    return position


def _matroska_size(file: BinaryIO) -> int:
    file.seek(4)
    header_size = _vint(file)
    if header_size is None:
        return 0
    file.seek(header_size, io.SEEK_CUR)
    if int.from_bytes(file.read(4), "big") != _SEGMENT:
        return 0
    size = _vint(file)
    return 0 if size is None else file.tell() + size


def _vint(file: BinaryIO) -> int | None:
    """Read an EBML variable-length number; None when it says "unknown", as live recordings do."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0xFF >> length)]) + file.read(length - 1), "big")
    return None if value == (1 << (7 * length)) - 1 else value
