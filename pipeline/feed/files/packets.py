"""H.264 and HEVC on the host: packet positions are found at the first read, and later epochs decode from them.

Opening a container again costs 10 % of a short clip's decoding, and its demuxer returns packets at the speed of Python.
With known positions, packets after the last requested frame are not touched, and packets that no other frame refers to
are skipped if they are not requested.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from sciu.pipeline.dataset import DatasetError
from sciu.pipeline.dataset.media.containers import open_video
from sciu.pipeline.dataset.media.read import Frames, upright, video_stream

CODECS = ("h264", "hevc")


@dataclass(frozen=True)
class Packets:
    """A video's packets in decoding order."""

    codec: str
    extradata: bytes | None
    spans: NDArray[np.int64]  # begin, end in the file
    numbers: NDArray[np.int32]  # of each packet's frame, in display order; -1 is never shown

    def decode(self, content: NDArray[np.uint8], wanted: NDArray[np.int32]) -> list[Frames]:
        """Decode the frames with these numbers, which are ascending."""
        chosen = np.isin(self.numbers, wanted)
        last = int(np.flatnonzero(chosen)[-1]) if chosen.any() else -1
        if last >= 0 and self.spans[: last + 1, 1].max() > len(content):
            raise DatasetError("is shorter than it was: truncated or replaced")
        numbers, reformatter = wanted.tolist(), VideoReformatter()
        found = {
            frame.pts: upright(frame, reformatter)
            for frame in self._decoded(content.data, chosen[: last + 1].tolist())
            if frame.pts in numbers
        }
        if missing := [number for number in numbers if number not in found]:
            raise DatasetError(f"has no frame {missing[0]}: it is shorter than the table says, or damaged")
        return [found[number] for number in numbers]

    def _decoded(self, content: memoryview, chosen: list[bool]) -> Iterator[Any]:
        """Decode the first packets; those that are not chosen only if others refer to them."""
        context: Any = av.CodecContext.create(self.codec, "r")
        context.extradata = self.extradata
        context.thread_type = "NONE"  # clips, not slices, are spread over the cores
        skipping = False
        for wanted, (begin, end), number in zip(chosen, self.spans.tolist(), self.numbers.tolist(), strict=False):
            if skipping == wanted:
                skipping = not wanted
                context.skip_frame = "NONREF" if skipping else "DEFAULT"
            packet: Any = av.Packet(content[begin:end])  # type: ignore[arg-type] # any bytes will do
            packet.pts = number
            yield from context.decode(packet)
        yield from context.decode(None)


def look_at_packets(content: NDArray[np.uint8]) -> Packets | None:
    """Find a video's packets; None if the file does not hold them as they are decoded, or their times are misleading.

    This decodes the whole video once, because AVI files store times in decoding order, and cut streams begin with
    frames that cannot be decoded.
    """
    with open_video(io.BytesIO(content.data)) as container:
        stream = video_stream(container)
        if stream is None or stream.codec_context is None:
            raise DatasetError("has no video stream that FFmpeg can decode")
        codec = stream.codec_context.name
        packets = [packet for packet in container.demux(stream) if packet.size]
        extradata = stream.codec_context.extradata
    spans = spans_of(content, packets)
    times = sorted({packet.pts for packet in packets if packet.pts is not None and not packet.is_discard})
    if codec not in CODECS or spans is None or not _decodes_to(content, times):
        return None
    numbers = {time: number for number, time in enumerate(times)}
    shown = np.array([numbers.get(packet.pts, -1) for packet in packets], np.int32)
    return Packets(codec=codec, extradata=extradata, spans=spans, numbers=shown)


def spans_of(content: NDArray[np.uint8], packets: list[Any]) -> NDArray[np.int64] | None:
    """Return begin and end of packets in the file; None if it does not hold them as they are decoded."""
    text = content.tobytes()
    starts = [
        -1
        if packet.pos is None or packet.pos < 0
        else text.find(bytes(packet), packet.pos, packet.pos + packet.size + 64)
        for packet in packets
    ]  # Matroska's positions are those of blocks, which have a header before the packet
    if not starts or min(starts) < 0:
        return None
    return np.array([(start, start + packet.size) for start, packet in zip(starts, packets, strict=True)], np.int64)


def _decodes_to(content: NDArray[np.uint8], times: list[int]) -> bool:
    """Return whether decoding gives exactly the frames of these times, in order and upright."""
    with open_video(io.BytesIO(content.data)) as container:
        shown = [(frame.pts, frame.rotation) for frame in container.decode(video_stream(container))]
    return shown == [(time, 0) for time in times]
