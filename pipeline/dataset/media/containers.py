"""Opens videos, and reads the size that a video file declares: a file shorter than its own headers claim is truncated.

Decoders play the rest of such a file without an error (measured: WebM and MKV), so the headers are read here.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import av
import av.error
from av.container import InputContainer

from sciu.pipeline.dataset.errors import DatasetError

_NAME_OTHER_FILES = frozenset(
    ("concat", "dash", "hls", "image2", "imf", "lavfi", "rtp", "rtsp", "sap", "sdp", "vobsub", "webm_dash_manifest")
)
_ONE_FILE = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(sorted(av.formats_available - _NAME_OTHER_FILES)),
}
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = 0x18538067
_MP4_BOXES = frozenset(
    (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"moof", b"mfra", b"sidx", b"styp", b"meta")
)


def open_video(source: Path | BinaryIO) -> InputContainer:
    """Open a video, as every reader of them does; a playlist would lead FFmpeg to files that are not the dataset's."""
    try:
        return av.open(f"file:{source}" if isinstance(source, Path) else source, "r", options=_ONE_FILE)
    except av.error.ArgumentError as error:
        if _is_text(source):
            raise DatasetError("is a playlist, which names other files: a video must hold its frames itself") from error
        raise


def _is_text(source: Path | BinaryIO) -> bool:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _is_text(file)
    source.seek(0)
    return b"\0" not in source.read(1024)


def declared_size(file: BinaryIO) -> int:
    """Return the file size that the container's top-level headers declare, or 0 if they declare none."""
    file.seek(0)
    head = file.read(16)
    if head[:4] == b"RIFF":
        size = int.from_bytes(head[4:8], "little")
        return 0 if size in (0, 0xFFFFFFFF) else 8 + size  # the size is not filled in when writing to a pipe
    if head[:4] == _EBML:
        return _matroska_size(file)
    if head[4:8] in _MP4_BOXES:
        return _mp4_size(file)
    return 0


def actual_size(file: BinaryIO) -> int:
    """Return the size of the file in bytes."""
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
    segment = file.tell() + header_size
    if segment > actual_size(file):
        return segment  # which may be more than any file system seeks to
    file.seek(segment)
    if int.from_bytes(file.read(4), "big") != _SEGMENT:
        return 0
    size = _vint(file)
    return 0 if size is None else file.tell() + size


def _vint(file: BinaryIO) -> int | None:
    """Read an EBML variable-length number, or None for "unknown", which live recordings store."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0xFF >> length)]) + file.read(length - 1), "big")
    return None if value == (1 << (7 * length)) - 1 else value
