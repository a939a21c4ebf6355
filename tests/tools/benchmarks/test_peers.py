"""Peers do our work: the same frames of the same clips, cropped and flipped alike, in every library that is here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from feeding import delivered, index_of
from helpers import silent
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.pack import Packing, pack
from sciu.pipeline.feed.plan.augmentation import Augmentation
from sciu.pipeline.feed.plan.plan import Planner
from sciu.pipeline.feed.plan.sampling import Sampling
from sciu.pipeline.feed.torch_feed import TorchFeed
from sciu.tools.benchmarks.peers import codec, known
from sciu.tools.benchmarks.peers.clips import Batch, Orders, usual_batches
from sciu.tools.benchmarks.peers.infobatch import InfoBatch

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CODEC = 0.1  # grey levels, the mean over a clip: Pillow rounds a resized pixel otherwise, all decoders agree


def planner_of(dataset: Dataset, crop: str = "shifted", size: int = 24) -> Planner:
    """Eight of twelve frames, a crop, half of the clips flipped."""
    return Planner(
        dataset=dataset, size=size, batch_size=4, augmentation=Augmentation(crop=crop, flip=0.5),
        sampling=Sampling(frames=8),
    )  # fmt: skip


def by_clip(batches: list[Batch]) -> dict[int, NDArray[np.generic]]:
    """Pixels [T, H, W, 3] of each clip."""
    pairs = (pair for pixels, ids in batches for pair in zip(ids.tolist(), pixels, strict=True))
    return {clip: pixels.permute(0, 2, 3, 1).numpy() for clip, pixels in pairs}


@pytest.fixture
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers start one process, not one a core."""
    for place in ("clips", "webdataset_loader"):
        if place == "clips" or find_spec("webdataset"):
            monkeypatch.setattr(f"sciu.tools.benchmarks.peers.{place}.cores", lambda: 1)


@pytest.mark.usefixtures("one_worker")
@pytest.mark.parametrize("kind", ["faces", "frame_faces"])
def test_every_peer_delivers_our_pixels_epoch_after_epoch(kind: str, request: pytest.FixtureRequest) -> None:
    dataset: Dataset = request.getfixturevalue(kind)
    planner = planner_of(dataset)
    ids = dataset.ids("train")
    plans = [
        planner_of(dataset, crop).training(index_of(dataset, ids[epoch:], epoch))
        for epoch, crop in ((1, "shifted"), (2, "shifted"), (3, "resized"))
    ]
    with TorchFeed(dataset=dataset, device=torch.device("cpu"), size=planner.size, threads=1) as feed:
        wanted = [delivered(feed, plan) for plan in plans]
    peers = dict(known.tuned(planner))
    assert len(peers) == len(known._of_kind(dataset)) - len(known.missing(dataset))
    for name, peer in peers.items():
        for plan, ours in zip(plans, wanted, strict=True):
            found = by_clip([*peer.batches(plan)])
            assert found.keys() == ours.keys(), name
            worst = max(np.abs(found[clip].astype(int) - ours[clip]).mean() for clip in ours)
            assert worst < CODEC, f"{name} is {worst} grey levels away"
        peer.close()
    for ours in wanted:
        mirrored = min(np.abs(pixels[:, :, ::-1].astype(int) - pixels).mean() for pixels in ours.values())
        assert mirrored > 10 * CODEC, "the tolerance would hide a clip that is not flipped"


@pytest.mark.usefixtures("one_worker")
@pytest.mark.parametrize("kind", ["faces", "frame_faces"])
def test_the_usual_loader_delivers_our_pixels_normalised(kind: str, request: pytest.FixtureRequest) -> None:
    dataset: Dataset = request.getfixturevalue(kind)
    planner = planner_of(dataset)
    plan = planner.training(index_of(dataset, dataset.ids("train")))
    with TorchFeed(dataset=dataset, device=torch.device("cpu"), size=planner.size, threads=1) as feed:
        ours = delivered(feed, plan)
    found = by_clip([*usual_batches(known.usual(planner)[1], plan)])
    assert found.keys() == ours.keys()
    for clip, pixels in found.items():
        assert np.abs((pixels * DEVIATION + MEAN) * 255 - ours[clip]).mean() < CODEC


def test_orders_are_those_of_the_last_plan(faces: Dataset) -> None:
    planner, orders = planner_of(faces), Orders(len(faces), 8)
    ids = faces.ids("train")
    for epoch, chosen in ((1, ids), (2, ids[3:])):
        plan = planner.training(index_of(faces, chosen, epoch))
        orders.follow(plan)
        assert [clip for clip in range(len(faces)) if clip in orders] == chosen.tolist()
        for row, clip in enumerate(plan.samples.ids.tolist()):
            assert orders[clip].numbers == plan.samples.numbers[row].tolist()
            assert [*orders[clip].box] == plan.samples.boxes[row].tolist()
            assert orders[clip].flip == plan.samples.flips[row]


def test_a_peer_that_is_not_installed_is_named_with_what_installs_it(
    faces: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = known.Known("decoder", "video", "no_such_module:Clips", "pip install decoder")
    monkeypatch.setattr(known, "_KNOWN", (known._KNOWN[3], absent))
    assert known.missing(faces) == ["decoder (pip install decoder)"]
    peers = dict(known.tuned(planner_of(faces)))
    assert [*peers] == ["DataLoader, PyAV, tuned"]


# ---- the codec alone


@pytest.mark.parametrize("encoding", ["jpeg", "mjpeg", "vp9", "h264"])
def test_the_codec_alone_decodes_every_plan(
    encoding: str, faces: Dataset, frame_faces: Dataset, tmp_path: Path
) -> None:
    if encoding in ("jpeg", "mjpeg"):
        pytest.importorskip("simplejpeg")
    dataset = {"jpeg": frame_faces, "vp9": faces}.get(encoding) or pack(
        frame_faces, tmp_path / "packed", Packing(size=32, codec=encoding), silent
    ).dataset
    assert not codec.missing(dataset)
    assert codec.library(dataset) == ("libjpeg-turbo" if "jpeg" in encoding else "FFmpeg")
    planner, alone = planner_of(dataset), codec.CodecAlone(dataset)
    ids = dataset.ids("train")
    for epoch in (1, 2, 3):
        assert alone.run(planner.training(index_of(dataset, ids[epoch:], epoch))) == len(ids) - epoch
    alone.close()


class CountingDecoder:
    """A decoder that holds one frame back, as those with frames of both directions do."""

    def __init__(self) -> None:
        self.taken, self.flushed = 0, 0

    def decode(self, packet: object) -> list[str]:
        """Take a packet, or the end."""
        if packet is None:
            return ["last"]
        self.taken += 1
        return ["frame"] if self.taken > 1 else []

    def flush_buffers(self) -> None:
        """Begin again."""
        self.flushed += 1


@given(st.integers(0, 11))
def test_no_packet_after_the_last_wanted_frame_is_decoded(last: int) -> None:
    decoder = CountingDecoder()
    codec._decode_video(decoder, [*range(12)], [0, last])
    assert decoder.taken == min(last + 2, 12)
    assert decoder.flushed == 1


# ---- InfoBatch


@given(st.lists(st.floats(0, 10, width=32), min_size=1, max_size=60), st.integers(0, 5))
def test_infobatch_leaves_out_half_of_the_low_losses_and_stays_unbiased(losses: list[float], seed: int) -> None:
    ids = np.arange(len(losses)) * 3
    infobatch = InfoBatch(ids, seed=seed)
    assert infobatch.draw().tolist() == ids.tolist(), "what no epoch has seen is kept"
    infobatch.weigh(torch.from_numpy(ids), torch.tensor(losses))
    known_losses = np.array(losses, np.float32)
    low = known_losses < known_losses.mean()
    kept = np.isin(ids, infobatch.draw())
    assert kept[~low].all()
    assert kept[low].sum() == low.sum() // 2
    weighed = infobatch.weigh(torch.from_numpy(ids[kept]), torch.ones(int(kept.sum())))
    assert float(weighed) * kept.sum() == pytest.approx((~low).sum() + 2 * (low.sum() // 2))


def test_the_trainer_by_the_book_learns_with_weighed_losses(
    frame_faces: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sciu.tools.benchmarks.peers.book import ReferenceTrainer

    monkeypatch.setattr("sciu.tools.benchmarks.peers.clips.cores", lambda: 0)  # in this process
    planner = planner_of(frame_faces, size=32)
    trainer = ReferenceTrainer(known.usual(planner)[1], "tiny_lstm", torch.device("cpu"))
    infobatch = InfoBatch(frame_faces.ids("train"))
    weights = [parameter.clone() for parameter in trainer.network.parameters()]
    plan = planner.training(index_of(frame_faces, infobatch.draw()))
    assert trainer.train_epoch(plan, infobatch.weigh) == len(frame_faces.ids("train"))
    assert any(not torch.equal(*pair) for pair in zip(weights, trainer.network.parameters(), strict=True))
    assert len(infobatch.draw()) < len(frame_faces.ids("train"))
