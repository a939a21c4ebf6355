"""Frames of a long video: the decoder jumps to the keyframe before each, so that the hours between cost no decoding."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import av.error
import numpy as np
from numpy.typing import NDArray

_SOME_NEVER_SHOWN = ("vp8", "libvpx")  # codecs whose packets are more than their frames
_TIMES_OF_DECODING = ("avi",)  # containers that store only those


@dataclass(frozen=True)
class Times:
    """When the frames of a video are shown, in their order, and where the decoder can begin."""

    shown: NDArray[np.int64]
    keyframes: NDArray[np.int64]  # when they are shown
    places: NDArray[np.int64]  # when they are decoded: containers seek by that

    @classmethod
    def of(cls, container: Any, stream: Any) -> Times | None:
        """Read the times of all packets, which decodes nothing; None if they do not tell every frame from the others.

        A million packets take 3 seconds, besides the reading.
        """
        shown, keyframes, places = array("q"), array("q"), array("q")
        if stream.codec_context.name in _SOME_NEVER_SHOWN or container.format.name in _TIMES_OF_DECODING:
            return None
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None:
                return None
            if packet.is_keyframe:
                keyframes.append(packet.pts)
                places.append(packet.pts if packet.dts is None else packet.dts)
            if not packet.is_discard:  # a cut file begins with frames that are decoded and not shown
                shown.append(packet.pts)
        times = cls(np.unique(np.array(shown, np.int64)), np.array(keyframes, np.int64), np.array(places, np.int64))
        good = len(times.shown) == len(shown) and len(keyframes) and (np.diff(times.keyframes) > 0).all()
        return times if good else None

    def frames(self, container: Any, stream: Any, numbers: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Yield the frames with these numbers, which are ascending; end where decoding does not give a frame promised.

        The container is a new one.
        """
        decoded, at = container.decode(stream), int(self.shown[:1].sum()) - 1
        for number in numbers:
            if number >= len(self.shown):
                return
            time = int(self.shown[number])
            nearest = int(np.searchsorted(self.keyframes, time, "right")) - 1
            if nearest > 0 and at < self.keyframes[nearest]:
                try:
                    container.seek(int(self.places[nearest]), stream=stream)
                except av.error.FFmpegError:
                    return
                decoded = container.decode(stream)
            frame = next((frame for frame in decoded if frame.pts is None or frame.pts >= time), None)
            if frame is None or frame.pts != time:
                return
            at = time
            yield number, frame
