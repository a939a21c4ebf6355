"""Whether an image file can be handed to DALI: one whose header does not parse brings the process down.

Measured with DALI 2.4.0 on a CPU: of 32 images or more in a batch, one that is no JPEG or PNG, or is cut off in its
header, ends in a segmentation fault, in its run or the next pipeline's. Faults behind the header raise, as they should.
"""

from __future__ import annotations

from sciu.pipeline.feed.sights import Bytes

_JPEG = b"\xff\xd8"
_PNG, _PNG_HEADER = b"\x89PNG\r\n\x1a\n", 33  # the signature and the first chunk, which is IHDR
_START_OF_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_START_OF_SCAN = 0xDA
_MOST_SEGMENTS = 1000


def has_whole_header(content: Bytes) -> bool:
    """Walk a JPEG's segments up to its first scan: 3 us. Of a PNG, look at its first chunk."""
    data = content.tobytes()
    if data[:8] == _PNG:
        return len(data) > _PNG_HEADER and data[12:16] == b"IHDR"
    if data[:2] != _JPEG:
        return False
    at, end, framed = 2, len(data), False
    for _ in range(_MOST_SEGMENTS):
        while at < end and data[at] == 0xFF and at + 1 < end and data[at + 1] == 0xFF:  # fill bytes
            at += 1
        if at + 4 > end or data[at] != 0xFF:
            return False
        marker, length = data[at + 1], data[at + 2] << 8 | data[at + 3]
        at += 2 + length
        if length < 2 or at > end:
            return False
        framed = framed or marker in _START_OF_FRAME
        if marker == _START_OF_SCAN:
            return framed
    return False
