"""Which decoder decodes which codec on this machine, found by encoding a clip of each and decoding it with each."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset.media.encode import encode_jpeg, encode_video
from sciu.pipeline.dataset.media.read import decode_image

_ENCODERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "vp9": ("libvpx-vp9", "webm", {"deadline": "realtime", "cpu-used": "8"}),
    "vp8": ("libvpx", "webm", {"deadline": "realtime"}),
    "mjpeg": ("mjpeg", "mp4", {}),
    "h264": ("libx264", "mp4", {"preset": "ultrafast"}),
    "hevc": ("libx265", "mp4", {"preset": "ultrafast"}),
    "av1": ("libsvtav1", "mp4", {"preset": "12"}),
    "mpeg4": ("mpeg4", "mp4", {}),
}
_FRAMES, _SIZE = 4, 256


def decoder_table() -> dict[str, dict[str, bool]]:
    """Return {codec: {decoder: whether all frames came out}}; the host decoders are PyAV and Pillow.

    A codec that FFmpeg cannot encode here is left out.
    """
    import torch

    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (_SIZE, _SIZE, 3)).astype(np.uint8) for _ in range(_FRAMES)]
    devices = ["cpu", "gpu"] if torch.cuda.is_available() else ["cpu"]
    with _quiet():
        table = {}
        for codec, clip in _samples(frames).items():
            by_device = {f"DALI {device}": _able(partial(_dali_frames, clip, device)) for device in devices}
            table[codec] = {"host": _able(partial(_pyav_frames, clip)), **by_device}
        jpegs = [encode_jpeg(frame) for frame in frames]
        by_device = {f"DALI {device}": _able(partial(_dali_images, jpegs, device)) for device in devices}
        table["jpeg files"] = {"host": _able(lambda: len([decode_image(jpeg) for jpeg in jpegs])), **by_device}
    return table


def _samples(frames: list[NDArray[np.uint8]]) -> dict[str, bytes]:
    samples = {}
    for codec, (encoder, container, options) in _ENCODERS.items():
        pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        with _same_priority(), contextlib.suppress(Exception):
            samples[codec] = encode_video(frames, encoder, container, options, pixels=pixels)
    return samples


@contextlib.contextmanager
def _same_priority() -> Iterator[None]:
    """Restore the thread's priority: run as root, SVT-AV1 makes it and the threads that it starts real-time.

    Two such trainings, which spin while they wait, starved a machine of two cores until they were killed.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


def _able(decode: Callable[[], int]) -> bool:
    try:
        return decode() == _FRAMES
    except Exception:  # noqa: BLE001 - whatever a decoder raises, the answer is no
        return False


def _pyav_frames(clip: bytes) -> int:
    import av

    with av.open(io.BytesIO(clip)) as container:
        return sum(1 for _ in container.decode(video=0))


def _dali_frames(clip: bytes, device: str) -> int:
    return len(decode_with_dali([clip], device, "video")[0])


def _dali_images(images: list[bytes], device: str) -> int:
    return len(decode_with_dali(images, device, "image"))


def decode_with_dali(files: list[bytes], device: str, kind: str) -> list[NDArray[np.uint8]]:
    """Decode files with one of DALI's decoders, `video` or `image`, and return the pixels on the host."""
    from nvidia.dali import fn
    from nvidia.dali.pipeline import Pipeline

    batch = [np.frombuffer(content, np.uint8) for content in files]
    pipeline: Any = Pipeline(batch_size=len(batch), num_threads=1, device_id=0 if device == "gpu" else None)
    with pipeline:
        decoder = getattr(fn.decoders, kind)
        pipeline.set_outputs(
            decoder(fn.external_source(source=lambda: batch), device="mixed" if device == "gpu" else "cpu")
        )
    pipeline.build()
    (decoded,) = pipeline.run()
    decoded = decoded.as_cpu()
    return [np.array(decoded.at(place)) for place in range(len(batch))]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what codecs print from native code: here a failure is an answer."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
