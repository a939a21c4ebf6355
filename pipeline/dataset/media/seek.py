"""Frames of a long video: the decoder jumps to the keyframe before each, so that the hours between cost no decoding.

Frames are numbered as decoding from the first one gives them, so a video is jumped in only if its packets prove that
each is one frame that the decoder returns, at the packet's time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import av.error
import numpy as np
from numpy.typing import NDArray

_ONE_FRAME_A_PACKET = frozenset(("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg", "vp9", "av1"))
_TIMES_OF_DISPLAY = frozenset(("mov", "matroska", "mpegts"))  # containers that store them; AVI stores those of decoding
_NOT_CODED = 19  # bytes of an MPEG-4 packet that may hold no frame, as FFmpeg counts them
_ENDS = (b"\0\0\1\x48\1", b"\0\0\2\x48\1")  # HEVC's end of a sequence: a decoder drops frames that refer beyond it


@dataclass(frozen=True)
class Times:
    """When the frames of a video are shown, in their order, and where the decoder can begin."""

    shown: NDArray[np.int64]
    keyframes: NDArray[np.int64]  # when they are shown
    places: NDArray[np.int64]  # when they are decoded: containers seek by that

    @classmethod
    def of(cls, container: Any, stream: Any) -> Times | None:
        """Read the times of all packets, which decodes nothing; None if they do not prove which frame is which.

        A million packets take 3 seconds, besides the reading.
        """
        codec, kind = stream.codec_context.codec.canonical_name, container.format.name.split(",")[0]
        if codec not in _ONE_FRAME_A_PACKET or kind not in _TIMES_OF_DISPLAY:
            return None
        decoded, shown, keyframes, places = array("q"), array("q"), array("q"), array("q")
        durations = set[int | None]()
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None or not (keyframes or packet.is_keyframe) or _is_doubtful(packet, codec):
                return None
            if packet.is_keyframe:
                keyframes.append(packet.pts)
                places.append(packet.pts if packet.dts is None else packet.dts)
            decoded.append(packet.pts)
            if not packet.is_discard:  # a cut file begins with frames that are decoded and not shown
                shown.append(packet.pts)
            durations.add(packet.duration)
        if codec == "h264" and kind == "mpegts" and len(durations) > 1:
            return None  # packets are fields there, not frames, where a picture was coded as two
        times = cls(np.unique(np.array(shown, np.int64)), np.array(keyframes, np.int64), np.array(places, np.int64))
        good = len(times.shown) == len(shown) > 0 and _rise(times.keyframes) and _rise(times.places)
        good = good and times.shown[0] >= times.keyframes[0]  # else its first frames refer to others before the file
        return times if good and _in_order(np.array(decoded, np.int64), stream.codec_context.reorder_depth) else None

    def frames(self, container: Any, stream: Any, numbers: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Yield the frames with these numbers, which are ascending; end where decoding does not give a frame promised.

        The container is a new one.
        """
        decoded, next_number = container.decode(stream), 0
        for number in numbers:
            if number >= len(self.shown):
                return
            nearest = int(np.searchsorted(self.keyframes, self.shown[number], "right")) - 1
            begin = int(np.searchsorted(self.shown, self.keyframes[nearest]))
            if begin > next_number:
                try:
                    container.seek(int(self.places[nearest]), stream=stream)
                except av.error.FFmpegError:
                    return
                decoded, next_number = _since(int(self.keyframes[nearest]), container.decode(stream)), begin
            for time in self.shown[next_number : number + 1].tolist():
                frame = next(decoded, None)
                if frame is None or frame.pts != time or _may_be_two_packets(frame, stream):
                    return
            next_number = number + 1
            yield number, frame


def _is_doubtful(packet: Any, codec: str) -> bool:
    """Return whether a packet may hold no frame, or hide those that follow."""
    if codec == "hevc":  # a transport stream gives the end with the packet that follows
        edges = bytes(memoryview(packet)[:6]) + bytes(memoryview(packet)[-5:])
        return packet.is_corrupt or any(end in edges for end in _ENDS)
    return packet.is_corrupt or (codec == "mpeg4" and packet.size <= _NOT_CODED)


def _rise(times: NDArray[np.int64]) -> bool:
    return bool((np.diff(times) > 0).all())


def _in_order(times: NDArray[np.int64], depth: int) -> bool:
    """Return whether a decoder that reorders frames to this depth shows all, and shows them by these times.

    It drops frames where the depth is too small. Where none is needed, the times may be those of decoding.
    """
    ranks = np.empty(len(times), np.int64)
    ranks[np.argsort(times, kind="stable")] = np.arange(len(times))
    needed = int((np.arange(len(times)) - ranks).max())
    return needed <= depth and (needed > 0 or depth == 0)


def _since(time: int, frames: Iterator[Any]) -> Iterator[Any]:
    """Leave out frames before a keyframe, which the container may begin with, or the decoder."""
    return (frame for frame in frames if frame.pts is None or frame.pts >= time)


def _may_be_two_packets(frame: Any, stream: Any) -> bool:
    return frame.interlaced_frame and stream.codec_context.name == "h264"
