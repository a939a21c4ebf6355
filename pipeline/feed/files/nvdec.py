"""Query what NVIDIA's video decoder supports, through the driver's library and without decoding anything."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

LIBRARY = "libnvcuvid.so.1"
CODECS = {"mpeg4": 2, "h264": 4, "mjpeg": 5, "hevc": 8, "vp8": 9, "vp9": 10, "av1": 11}
_CHROMA_420 = 1


class _Caps(ctypes.Structure):
    """CUVIDDECODECAPS of the Video Codec SDK's cuviddec.h."""

    _fields_ = (
        ("codec", ctypes.c_int),
        ("chroma", ctypes.c_int),
        ("bit_depth_minus_8", ctypes.c_uint),
        ("reserved_in", ctypes.c_uint * 3),
        ("supported", ctypes.c_ubyte),
        ("engines", ctypes.c_ubyte),
        ("output_formats", ctypes.c_ushort),
        ("max_width", ctypes.c_uint),
        ("max_height", ctypes.c_uint),
        ("max_macroblocks", ctypes.c_uint),
        ("min_width", ctypes.c_ushort),
        ("min_height", ctypes.c_ushort),
        ("histogram", ctypes.c_ubyte),
        ("counter_bits", ctypes.c_ubyte),
        ("histogram_bins", ctypes.c_ushort),
        ("reserved_out", ctypes.c_uint * 10),
    )


@dataclass(frozen=True, kw_only=True)
class Capability:
    """What the decoder supports of one codec, at 8 bits, 4:2:0."""

    codec: str
    supported: bool
    engines: int
    min_size: tuple[int, int]
    max_size: tuple[int, int]


def library() -> ctypes.CDLL | None:
    """Load the decoder's library; a container has it only if the capability `video` was requested."""
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError:
        return None


def capabilities() -> list[Capability]:
    """Return the capabilities for every codec in CODECS. Needs a CUDA context on this thread."""
    nvcuvid = library()
    return [] if nvcuvid is None else [_ask(nvcuvid, name, number) for name, number in CODECS.items()]


def _ask(nvcuvid: ctypes.CDLL, name: str, number: int) -> Capability:
    caps = _Caps(codec=number, chroma=_CHROMA_420)
    answered = nvcuvid.cuvidGetDecoderCaps(ctypes.byref(caps)) == 0
    return Capability(
        codec=name,
        supported=answered and bool(caps.supported),
        engines=caps.engines,
        min_size=(caps.min_width, caps.min_height),
        max_size=(caps.max_width, caps.max_height),
    )
