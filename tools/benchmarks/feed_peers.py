"""What the feed is compared with: other ways to read clips, executing the same plan as ours."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media.read import read_images
from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.feed.plan.plan import Plan, Samples

_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
_DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)

Reader = Callable[[Dataset, int, list[int]], list[NDArray[np.uint8]]]


# ---- reading a clip's frames, one library each


def by_pillow(dataset: Dataset, clip: int, numbers: list[int]) -> list[NDArray[np.uint8]]:
    """Read JPEG frames with Pillow."""
    images = read_images(dataset.path(clip), numbers)
    return [np.asarray(Image.open(io.BytesIO(image)).convert("RGB")) for image in images]


def by_decord(dataset: Dataset, clip: int, numbers: list[int]) -> list[NDArray[np.uint8]]:
    """Read videos with decord."""
    import decord

    return list(decord.VideoReader(str(dataset.path(clip)), num_threads=1).get_batch(numbers).asnumpy())


def by_pyav(dataset: Dataset, clip: int, numbers: list[int]) -> list[NDArray[np.uint8]]:
    """Read videos with PyAV, as it is usually written."""
    wanted = set(numbers)
    with av.open(dataset.path(clip)) as container:
        frames = enumerate(container.decode(video=0))
        found = {number: frame.to_ndarray(format="rgb24") for number, frame in frames if number in wanted}
    return [found[number] for number in numbers]


def by_torchcodec(dataset: Dataset, clip: int, numbers: list[int]) -> list[NDArray[np.uint8]]:
    """Read videos with torchcodec."""
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(
        str(dataset.path(clip)), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="approximate"
    )
    return list(decoder.get_frames_at(numbers).data.numpy())


def readers(dataset: Dataset) -> dict[str, Reader]:
    """Return the readers of this kind of clip that are installed here."""
    if dataset.kind == "frames":
        return {"Pillow": by_pillow}
    found: dict[str, Reader] = {"PyAV": by_pyav}
    if find_spec("decord"):
        found["decord"] = by_decord
    if _torchcodec_works(dataset):
        found["torchcodec"] = by_torchcodec
    return found


def missing(dataset: Dataset) -> list[str]:
    """Return the names of the peers that are not installed."""
    wanted = ("Pillow",) if dataset.kind == "frames" else ("PyAV", "decord", "torchcodec")
    return [name for name in wanted if name not in readers(dataset)]


def _torchcodec_works(dataset: Dataset) -> bool:
    """Return whether torchcodec finds an FFmpeg of the system, which it needs when it is imported."""
    try:
        by_torchcodec(dataset, 0, [0])
    except (ImportError, RuntimeError, OSError):
        return False
    return True


# ---- the usual loader: a clip an item, float32 and normalised in the worker


@dataclass(frozen=True)
class UsualClips:
    """The map-style dataset that DFER codes write."""

    dataset: Dataset
    samples: Samples
    size: int
    read: Reader

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        clip = int(self.samples.ids[row])
        top, left, height, width = self.samples.boxes[row].tolist()
        pictures = []
        for frame in self.read(self.dataset, clip, self.samples.numbers[row].tolist()):
            picture = Image.fromarray(frame).crop((left, top, left + width, top + height))
            if picture.size != (self.size, self.size):
                picture = picture.resize((self.size, self.size), Image.Resampling.BILINEAR)
            if self.samples.flips[row]:
                picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).float().div_(255)
            pictures.append((pixels - _MEAN) / _DEVIATION)
        return torch.stack(pictures), clip


def usual_loader(dataset: Dataset, plan: Plan, read: Reader) -> Iterator[int]:
    """Yield the sizes of the batches."""
    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        UsualClips(dataset, plan.samples, plan.size, read),  # type: ignore[arg-type]
        batch_size=int(plan.offsets[1]), num_workers=cores(), collate_fn=default_collate,
    )  # fmt: skip
    for clips, _ids in loader:
        yield len(clips)


# ---- the raw limit: the codec's library in as many processes as there are cores, nothing else


class RawDecoding:
    """Processes that decode the planned frames and discard them."""

    def __init__(self, dataset: Dataset) -> None:
        self._pool = ProcessPoolExecutor(cores(), get_context("forkserver"), _remember, (dataset,))

    def run(self, plan: Plan) -> int:
        """Decode a plan; return the number of clips."""
        tasks = [
            (clip, np.unique(plan.samples.numbers[row]).tolist()) for row, clip in enumerate(plan.samples.ids.tolist())
        ]
        return sum(self._pool.map(_decode, tasks, chunksize=16))

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown()

    @staticmethod
    def library(dataset: Dataset) -> str:
        """Return the name of the library that decodes."""
        return "FFmpeg" if dataset.kind != "frames" else ("libjpeg-turbo" if find_spec("simplejpeg") else "torchvision")


_dataset: Dataset | None = None


def _remember(dataset: Dataset) -> None:
    global _dataset  # noqa: PLW0603 - what a worker process works on
    _dataset = dataset
    torch.set_num_threads(1)


def _decode(task: tuple[int, list[int]]) -> int:
    clip, numbers = task
    assert _dataset is not None
    if _dataset.kind == "frames":
        for image in read_images(_dataset.path(clip), numbers):
            _decode_jpeg(image)
        return 1
    last, converter = numbers[-1], VideoReformatter()
    wanted = set(numbers)
    with av.open(_dataset.path(clip)) as container:
        container.streams.video[0].thread_type = "NONE"
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                converter.reformat(frame, format="rgb24", threads=1)
            if number == last:
                break
    return 1


def _decode_jpeg(image: bytes) -> None:
    if find_spec("simplejpeg"):
        import simplejpeg

        simplejpeg.decode_jpeg(image)
    else:
        from torchvision.io import decode_jpeg

        decode_jpeg(torch.frombuffer(bytearray(image), dtype=torch.uint8))
