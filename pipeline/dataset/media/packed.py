"""A clip of JPEG frames in one file: an uncompressed zip that any tool opens and numpy indexes.

The names have equal length and the entries are stored, so the central directory is a plain array: the file's tail
shows the position of every frame, without a call per frame.
"""

from __future__ import annotations

import io
import zipfile

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset.errors import DatasetError

_NAME = "{:05d}.jpg"
_NAME_LENGTH = 9
_LOCAL_HEADER = 30
_END = np.dtype(
    [
        ("magic", "S4"), ("disks", "<u2", 2), ("entries", "<u2", 2), ("size", "<u4"), ("offset", "<u4"),
        ("comment", "<u2"),
    ]
)  # fmt: skip
_ENTRY = np.dtype(
    [
        ("magic", "S4"), ("versions", "<u2", 2), ("flags", "<u2"), ("method", "<u2"), ("when", "<u2", 2),
        ("crc", "<u4"), ("packed", "<u4"), ("size", "<u4"), ("lengths", "<u2", 3), ("disk", "<u2"),
        ("attributes", "u1", 6), ("offset", "<u4"), ("name", f"S{_NAME_LENGTH}"),
    ]
)  # fmt: skip


def pack_frames(jpegs: list[bytes]) -> bytes:
    """Put the JPEG files of a clip into one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for number, jpeg in enumerate(jpegs, start=1):
            archive.writestr(zipfile.ZipInfo(_NAME.format(number)), jpeg)  # a fixed date: same frames, same bytes
    return buffer.getvalue()


def frame_spans(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return begin and end of every frame, [frames, 2], in order; refuse a file that `pack_frames` did not write."""
    if len(packed) < _END.itemsize:
        raise DatasetError(f"packed clip is truncated: {len(packed)} bytes")
    end = packed[-_END.itemsize :].view(_END)[0]
    count, start, size = int(end["entries"][0]), int(end["offset"]), int(end["size"])
    if end["magic"] != b"PK\5\6" or start + size + _END.itemsize != len(packed):
        raise DatasetError("packed clip is truncated or not a zip file: it does not end with a directory")
    directory = packed[start : start + size]
    if size != count * _ENTRY.itemsize or np.any(directory.view(_ENTRY)["method"]):
        what = "compressed" if _is_compressed(directory.tobytes()) else "not laid out as `sciu-data pack` does"
        raise DatasetError(f"is a zip file that is {what}: unpack it to a folder of frames")
    entries = directory.view(_ENTRY)
    if not np.all(entries["magic"] == b"PK\1\2"):
        raise DatasetError("packed clip has a damaged directory")
    begins = entries["offset"].astype(np.int64) + _LOCAL_HEADER + _NAME_LENGTH
    ends = begins + entries["size"]
    if np.any(ends > start):
        raise DatasetError("packed clip has a damaged directory: a frame ends after the end of the file")
    return np.stack([begins, ends], axis=1)


def _is_compressed(directory: bytes) -> bool:
    """Return whether any entry of a zip file's directory, in which names have any length, is compressed."""
    at = 0
    while directory[at : at + 4] == b"PK\1\2" and at + 46 <= len(directory):
        if directory[at + 10 : at + 12] != b"\0\0":
            return True
        at += 46 + sum(int.from_bytes(directory[at + field : at + field + 2], "little") for field in (28, 30, 32))
    return False


def frames_of(packed: bytes) -> list[bytes]:
    """Return the JPEG files of a packed clip."""
    return [packed[begin:end] for begin, end in frame_spans(np.frombuffer(packed, np.uint8)).tolist()]
