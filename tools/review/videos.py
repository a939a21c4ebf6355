"""Clips as videos for a browser: made when they are asked for, in processes of their own, the last ones kept."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import closing
from types import TracebackType

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.dataset.system.workers import Crashed, map_tasks
from sciu.tools.review.transcode import Source, Video, transcode

_KEPT = 64_000_000  # bytes of videos: some hundred clips
_NO_DATASET = (
    "The clips of this run were not found. If its dataset was moved, end sciu-review and give its folder: --data DIR."
)
_PATIENCE = 2.0  # seconds that videos which are being made may take when the server ends


class Videos:
    """The videos of a dataset's clips; to be asked from several threads."""

    def __init__(
        self, dataset: Dataset | None, *, kept: int = _KEPT, make: Callable[[Source], Video] = transcode
    ) -> None:
        self._dataset = dataset
        self._most = kept
        self._make = make
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Video] = OrderedDict()
        self._coming: dict[int, Future[Video]] = {}
        self._threads = ThreadPoolExecutor(cores(), "video")

    def __enter__(self) -> Videos:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the work in hand; a decoder that hangs is killed."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + _PATIENCE
        while any(not future.done() for future in [*self._coming.values()]):
            if time.monotonic() > until:
                for worker in multiprocessing.active_children():
                    worker.kill()
            time.sleep(0.02)

    def get(self, clip: int) -> Video:
        """Return the video of a clip, without content if it cannot be shown."""
        if self._dataset is None:
            return Video(note=_NO_DATASET)
        with self._lock:
            if clip in self._kept:
                self._kept.move_to_end(clip)
                return self._kept[clip]
            if clip not in self._coming:
                self._coming[clip] = self._threads.submit(self._made, clip, self._dataset)
            coming = self._coming[clip]
        try:
            return coming.result()
        except CancelledError:
            return Video(note="The server is ending.")

    def _made(self, clip: int, dataset: Dataset) -> Video:
        source = Source(dataset.media, dataset.path(clip), dataset.kind_of(clip), int(dataset.clips.frames[clip]))
        try:
            with closing(map_tasks(self._make, [source])) as results:
                ((_, made),) = results
            video = Video(note="crashes its decoder") if isinstance(made, Crashed) else made
            if not video.content:
                video = Video(note=f"This clip cannot be shown: its file {video.note}.")
            self._keep(clip, video)
            return video
        finally:
            with self._lock:
                del self._coming[clip]

    def _keep(self, clip: int, video: Video) -> None:
        """Keep a video, and forget those that were asked for longest ago."""
        with self._lock:
            self._kept[clip] = video
            while len(self._kept) > 1 and sum(len(each.content) for each in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
