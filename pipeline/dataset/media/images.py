"""Check whether an image file is complete, and so safe for DALI, which may crash on one that it cannot decode.

Measured with DALI 2.4.0 on a CPU: when one of 32 images or more in a batch cannot be decoded, that run or the next
pipeline's ends in a segmentation fault: always if the header does not parse, sometimes if the rest is truncated. Up to
16 images it raises an error, as it should. So incomplete images go to Pillow, which reports the error.
"""

from __future__ import annotations

import zlib

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"  # the first bytes of the files
_PNG_END, JPEG_END = b"IEND", b"\xff\xd9"
_PNG_CHECKSUM = b"\xaeB`\x82"  # of the last chunk, which is empty
TAIL = 4096  # bytes: cameras pad the end of files
_START_OF_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_START_OF_SCAN = 0xDA


def ends_whole(content: bytes) -> bool:
    """Return whether a file that begins as a JPEG or PNG also ends as one; its last bytes suffice."""
    end = _PNG_END + _PNG_CHECKSUM if content.startswith(PNG) else JPEG_END
    return end in content[-TAIL:]


def is_whole_image(data: bytes) -> bool:
    """Return whether a file is a complete JPEG or PNG: 3 us per JPEG, 1 ms per megabyte of PNG."""
    if data.startswith(PNG):
        return _is_whole_png(data)
    return data.startswith(JPEG) and (scan := _first_scan(data)) > 0 and data.rfind(JPEG_END, scan) > 0


def jpeg_header(data: bytes) -> bytes:
    """Return what precedes the first scan of a JPEG, or nothing if the file is no JPEG."""
    return data[: _first_scan(data)] if data.startswith(JPEG) else b""


def _first_scan(data: bytes) -> int:
    """Walk a JPEG's segments; return where its first scan begins, or 0 if a segment is invalid."""
    at, end, framed = len(JPEG), len(data), False
    while at + 4 <= end and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        length = data[at + 2] << 8 | data[at + 3]
        at += 2 + length
        if length < 2 or at > end:
            return 0
        framed = framed or marker in _START_OF_FRAME
        if marker == _START_OF_SCAN:
            return at if framed else 0
    return 0


def _is_whole_png(data: bytes) -> bool:
    """Walk a PNG's chunks and check the checksum of each."""
    view, at = memoryview(data), len(PNG)
    while at + 12 <= len(data):
        body = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if body + 4 > len(data) or zlib.crc32(view[at + 4 : body]) != int.from_bytes(data[body : body + 4], "big"):
            return False
        if data[at + 4 : at + 8] == _PNG_END:
            return True
        at = body + 4
    return False
