"""An evaluation is the mean over the views of what the averaged network says, and nothing in the network is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sciu.models.sciu_model import Output
from sciu.pipeline.dataset import Dataset
from sciu.pipeline.errors import Stopped
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.decode.faults import Fault
from sciu.pipeline.feed.feed import Feed
from sciu.pipeline.feed.plan.plan import Plan, Planner
from sciu.pipeline.feed.plan.sampling import Sampling
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import TrainError
from sciu.pipeline.train.evaluation.evaluate import Evaluation, evaluate
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.job.stopping import Stop
from sciu.pipeline.train.step.average import Average
from sciu.pipeline.train.step.clip_tensors import ClipTensors
from sciu.pipeline.train.step.objectives import objective_of
from sciu.pipeline.train.step.optimiser import make_optimiser
from sciu.pipeline.train.step.step import Step

CPU = torch.device("cpu")
SETTINGS = Settings(method="plain")
Paint = Callable[[int, int], int]  # clip id, number of the frame -> how bright it is


@dataclass(kw_only=True)
class PaintedFeed(Feed):
    """Shows frames of one brightness each."""

    paint: Paint
    bad: list[set[int]] = field(default_factory=list)  # clips that turn out bad, plan by plan

    def _batches(self, plan: Plan, start: int) -> Iterator[ClipBatch]:
        bad = self.bad.pop(0) if self.bad else set()
        for number in range(start, plan.steps):
            for clip in sorted(bad & {*plan.step(number).ids.tolist()}):
                self._lose(Fault(clip, "cut off"), plan)
            samples = self._good(plan.step(number))
            if not len(samples):
                yield self._empty(plan)
                continue
            rows = zip(samples.ids.tolist(), samples.numbers.tolist(), strict=True)
            bright_BT = torch.tensor([[self.paint(clip, frame) for frame in frames] for clip, frames in rows])
            shape = (*bright_BT.shape, plan.size, plan.size, 3)
            yield self._batch(samples, bright_BT[:, :, None, None, None].expand(shape).byte())


class Bright(nn.Module):
    """Says class k of a clip whose mean brightness is 10 k; the surer, the greater its only weight."""

    centres_K: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(()))
        self.register_buffer("centres_K", 10.0 * torch.arange(classes))
        self.looks: list[tuple[bool, bool]] = []  # whether it was in training, whether gradients were wanted

    def logits(self, brightness_B: Tensor) -> Tensor:
        return -self.sharpness * (brightness_B[:, None] - self.centres_K).abs() / 10

    def forward(self, clip_BTCHW: Tensor) -> Output:
        self.looks.append((self.training, torch.is_grad_enabled()))
        logits_BK = self.logits(clip_BTCHW[:, :, 0].mean(dim=(1, 2, 3)) * 58.395 + 123.675)
        return Output(logits_BK, torch.ones(len(logits_BK)), logits_BK)


def step_of(dataset: Dataset, average: float = 0.0, amp: str = "off") -> tuple[Step, Bright]:
    classes = len(dataset.classes)
    network = Bright(classes)
    step = Step(
        network=network.train(), optimiser=make_optimiser(network.parameters(), SETTINGS, CPU),
        objective=objective_of(SETTINGS), clip_tensors=ClipTensors(len(dataset), classes, CPU),
        average=Average(network, average), amp=amp,
    )  # fmt: skip
    return step, network


def planner_of(dataset: Dataset) -> Planner:
    return Planner(dataset=dataset, size=2, batch_size=3, sampling=Sampling(frames=2))


def look(dataset: Dataset, step: Step, paint: Paint, **more: Any) -> Evaluation:
    """Evaluate the test clips."""
    bad, given = more.pop("bad", []), {"ids": dataset.ids("test"), "views": 1, "stop": Stop(), **more}
    with PaintedFeed(dataset=dataset, device=CPU, paint=paint, bad=bad, max_faulty=1.0) as feed:
        return evaluate(
            step, feed, planner_of(dataset), ranks=Ranks(), **{"progress": lambda _done, _total, _note: None, **given}
        )


def frame_number(_clip: int, frame: int) -> int:
    return 5 * frame


def expected(dataset: Dataset, network: Bright, ids: NDArray[np.int64], views: list[int], of: int) -> NDArray[Any]:
    """Return the mean of what the network says of some views, where frames are as bright as their number says."""
    each = []
    for view in views:
        bright_B = torch.from_numpy(5.0 * planner_of(dataset).testing(ids, view, of).samples.numbers).mean(dim=1)
        each.append(network.logits(bright_B.float()).softmax(dim=1).detach().numpy())
    return np.mean(each, axis=0)


@pytest.mark.parametrize("views", [1, 2, 3])
def test_it_is_the_mean_over_the_views(frame_faces: Dataset, views: int) -> None:
    """Of the probabilities; and the views differ, or their mean would be one of them."""
    step, network = step_of(frame_faces)
    found = look(frame_faces, step, frame_number, views=views)
    ids = frame_faces.ids("test")
    assert found.ids.tolist() == ids.tolist()
    assert found.probs == pytest.approx(expected(frame_faces, network, ids, [*range(views)], views), abs=1e-5)
    alone = expected(frame_faces, network, ids, [0], views)
    assert (views == 1) == bool(np.allclose(found.probs, alone, atol=1e-3))


def test_classes_are_in_the_order_of_the_dataset(frame_faces: Dataset) -> None:
    """Rows of the confusion are true classes, columns those that were said."""
    step, _ = step_of(frame_faces)
    classes, ids = len(frame_faces.classes), frame_faces.ids("test")

    def next_one(clip: int, _frame: int) -> int:
        return 10 * ((int(frame_faces.labels[clip]) + 1) % classes)

    found = look(frame_faces, step, next_one)
    counts = np.bincount(frame_faces.labels[ids], minlength=classes)
    assert np.array_equal(found.confusion.counts, np.roll(np.diag(counts), 1, axis=1))
    assert found.probs.argmax(axis=1).tolist() == ((frame_faces.labels[ids] + 1) % classes).tolist()
    right = look(frame_faces, step, lambda clip, _frame: 10 * int(frame_faces.labels[clip]))
    assert right.confusion.war == right.confusion.uar == 1.0


def test_clips_come_by_ascending_id_however_they_were_asked_for(frame_faces: Dataset) -> None:
    step, _ = step_of(frame_faces)
    found = look(frame_faces, step, lambda clip, _frame: 10 * (clip % 7), ids=np.array([19, 3, 11]))
    assert found.ids.tolist() == [3, 11, 19]
    assert found.probs.argmax(axis=1).tolist() == [3 % 7, 11 % 7, 19 % 7]


# ---- clips that cannot be read


def test_unreadable_clips_are_counted_and_say_nothing(frame_faces: Dataset) -> None:
    """Also where they are all of a batch."""
    ids = frame_faces.ids("test")
    bad = {*ids[:3].tolist(), int(ids[4])}
    found = look(frame_faces, step_of(frame_faces)[0], frame_number, bad=[bad])
    assert found.ids.tolist() == [clip for clip in ids.tolist() if clip not in bad]
    result = found.confusion.result(frame_faces.classes, found.asked)
    assert (result.clips, result.unreadable, found.asked) == (len(ids) - 4, 4, len(ids))


def test_a_clip_that_goes_bad_between_views_has_the_mean_of_those_that_were_seen(frame_faces: Dataset) -> None:
    step, network = step_of(frame_faces)
    ids = frame_faces.ids("test")
    found = look(frame_faces, step, frame_number, views=2, bad=[set(), {int(ids[1])}])
    assert found.ids.tolist() == ids.tolist()
    first = expected(frame_faces, network, ids, [0], 2)
    assert found.probs[1] == pytest.approx(first[1], abs=1e-5)
    assert found.probs[0] != pytest.approx(first[0], abs=1e-3)


def test_nothing_readable_is_refused(frame_faces: Dataset) -> None:
    ids = frame_faces.ids("test")
    with pytest.raises(TrainError, match=f"{len(ids)} clips"):
        look(frame_faces, step_of(frame_faces)[0], frame_number, bad=[{*ids.tolist()}])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_outputs_that_are_no_numbers_are_refused_by_clip(frame_faces: Dataset, value: float) -> None:
    step, network = step_of(frame_faces)
    bad = frame_faces.ids("test").tolist()[4]

    def spoil(_network: nn.Module, _given: object, output: Output) -> Output:
        far_B = output.logits_BK[:, 0] < -20
        return output._replace(logits_BK=torch.where(far_B[:, None], value, output.logits_BK))

    network.register_forward_hook(spoil)
    with pytest.raises(TrainError, match=f"clip {bad}"):
        look(frame_faces, step, lambda clip, _frame: 250 if clip == bad else 0)


# ---- the network


def test_the_averaged_weights_are_used_and_put_back(frame_faces: Dataset) -> None:
    step, network = step_of(frame_faces, average=0.9)
    ids = frame_faces.ids("test")
    averaged = expected(frame_faces, network, ids, [0], 1)
    with torch.no_grad():
        network.sharpness.fill_(3.0)
    latest = expected(frame_faces, network, ids, [0], 1)
    found = look(frame_faces, step, frame_number)
    assert found.probs == pytest.approx(averaged, abs=1e-5)
    assert found.probs != pytest.approx(latest, abs=1e-2)
    assert network.sharpness.item() == 3.0
    assert step.average.tensors()["0"].item() == 1.0


def test_without_an_average_it_is_the_weights_themselves(frame_faces: Dataset) -> None:
    step, network = step_of(frame_faces, average=0.0)
    with torch.no_grad():
        network.sharpness.fill_(3.0)
    found = look(frame_faces, step, frame_number)
    assert found.probs == pytest.approx(expected(frame_faces, network, found.ids, [0], 1), abs=1e-5)


def test_it_learns_nothing_and_the_training_goes_on_as_before(frame_faces: Dataset) -> None:
    step, network = step_of(frame_faces, average=0.9)
    before = {f"{group}.{key}": t.clone() for group, each in step.tensors().items() for key, t in each.items()}
    look(frame_faces, step, frame_number, views=2)
    assert set(network.looks) == {(False, False)}
    assert network.training
    after = {f"{group}.{key}": t for group, each in step.tensors().items() for key, t in each.items()}
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_it_works_in_the_precision_of_the_training(frame_faces: Dataset) -> None:
    """And yet averages in single precision."""
    step, network = step_of(frame_faces, amp="bf16")
    kinds: list[torch.dtype] = []
    network.register_forward_hook(lambda *_: kinds.append(torch.mm(torch.ones(1, 1), torch.ones(1, 1)).dtype))
    found = look(frame_faces, step, frame_number)
    assert set(kinds) == {torch.bfloat16}
    assert found.probs.dtype == np.float32


# ---- on its way


def test_a_stop_takes_effect_between_batches_and_the_weights_are_put_back(frame_faces: Dataset) -> None:
    step, network = step_of(frame_faces, average=0.9)
    with torch.no_grad():
        network.sharpness.fill_(3.0)
    stop = Stop()

    def progress(done: int, _total: int, _note: str) -> None:
        stop.signal = 15 if done == 2 else 0

    with pytest.raises(Stopped):
        look(frame_faces, step, frame_number, stop=stop, progress=progress)
    assert len(network.looks) == 2
    assert network.sharpness.item() == 3.0


def test_progress_counts_over_the_views(frame_faces: Dataset) -> None:
    told: list[tuple[int, int]] = []
    steps = -(-len(frame_faces.ids("test")) // 3)
    look(
        frame_faces, step_of(frame_faces)[0], frame_number, views=2,
        progress=lambda done, total, _note: told.append((done, total)),
    )  # fmt: skip
    assert told == [(done, 2 * steps) for done in range(1, 2 * steps + 1)]
