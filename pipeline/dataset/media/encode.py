"""Frames -> the bytes of a clip file, in memory, so that only one write can meet a full disk, and fails cleanly.

Each codec has one container that DALI, NVDEC and FFmpeg all read. `mjpeg` and `jpeg` contain the same JPEG files; the
first is a video, the second an uncompressed zip from which single frames are read.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sciu.pipeline.dataset.media.packed import pack_frames

CODECS = ("vp9", "mjpeg", "h264", "jpeg")
SUFFIX = {"vp9": ".webm", "mjpeg": ".mp4", "h264": ".mp4", "jpeg": ".zip"}
KIND = {"vp9": "video", "mjpeg": "video", "h264": "video", "jpeg": "frames"}
JPEG_CODECS = ("mjpeg", "jpeg")

_RATE = 25
_JPEG_QUALITY = 90
_REPEATABLE = {"fflags": "+bitexact"}  # no random ids, no dates: same frames, same bytes
# One thread per encoder: the clips are spread over the cores. Without cpu-independent, x264 writes different bytes in
# every run (measured at sizes 80 to 224); with it files grow by 2 %.
_ENCODERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "vp9": ("libvpx-vp9", "webm", {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "8", "threads": "1"}),
    "h264": ("libx264", "mp4", {"crf": "18", "preset": "veryfast", "threads": "1", "x264-params": "cpu-independent=1"}),
}


def encode_clip(frames: Sequence[NDArray[np.uint8]], codec: str) -> bytes:
    """Encode RGB frames of equal size, each [H, W, 3], as a clip file."""
    if codec in JPEG_CODECS:
        height, width = frames[0].shape[:2]
        return join_jpegs([encode_jpeg(frame) for frame in frames], codec, width=width, height=height)
    return encode_video(frames, *_ENCODERS[codec])


def encode_jpeg(frame: NDArray[np.uint8]) -> bytes:
    """Encode an RGB frame as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def join_jpegs(jpegs: list[bytes], codec: str, *, width: int, height: int) -> bytes:
    """Put JPEG files of equal size unchanged into a clip file."""
    if codec == "jpeg":
        return pack_frames(jpegs)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options=_REPEATABLE) as container:
        stream = container.add_stream("mjpeg", rate=_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        for number, jpeg in enumerate(jpegs):
            packet = av.Packet(jpeg)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, _RATE), True
            packet.pts = packet.dts = number
            packet.duration = 1
            container.mux(packet)
    return buffer.getvalue()


def encode_video(
    frames: Sequence[NDArray[np.uint8]],
    encoder: str,
    container_format: str,
    options: dict[str, str],
    *,
    pixels: str = "yuv420p",
    rate: Fraction | int = _RATE,
) -> bytes:
    """Encode RGB frames with one of FFmpeg's encoders."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container_format, options=_REPEATABLE) as container:
        stream: Any = container.add_stream(encoder, rate=rate, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()
