"""The step is the textbook's on every device, and trying it changes nothing."""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sciu.models.backbones.tiny_lstm import TinyLstm
from sciu.models.losses.cross_entropy import weighted_cross_entropy
from sciu.models.sciu_model import SciuModel
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.train.config.methods import policy_of
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.step.average import Average
from sciu.pipeline.train.step.clip_tensors import ClipTensors, scores_of
from sciu.pipeline.train.step.objectives import objective_of
from sciu.pipeline.train.step.optimiser import make_optimiser
from sciu.pipeline.train.step.step import Step
from sciu.purification.index import make_targets

CLIPS, CLASSES = 12, 3
LABELS = np.arange(CLIPS, dtype=np.int16) % CLASSES
TARGETS = make_targets(np.full((CLASSES, CLIPS), 0.3, np.float16), np.full(CLIPS, 2.0))
CPU = torch.device("cpu")


def make_step(device: torch.device = CPU, network: SciuModel | None = None, **settings: Any) -> Step:
    """A step that begins an epoch, the same each time."""
    chosen = Settings(**{"method": "sciu", **settings})
    torch.manual_seed(0)
    network = (network or SciuModel(TinyLstm(), CLASSES)).to(device)
    step = Step(
        network=network,
        optimiser=make_optimiser(network.parameters(), chosen, device),
        objective=objective_of(chosen),
        clip_tensors=ClipTensors(
            CLIPS, CLASSES, device, balance=chosen.class_balance, averages=policy_of(chosen).averages
        ),
        average=Average(network, chosen.average),
        amp=chosen.amp if chosen.amp != "auto" else "off",
        clip_gradients=chosen.clip_gradients,
        accumulate=chosen.accumulate,
        weighted_scores=chosen.scores == "weighted",
    )
    step.begin(LABELS, TARGETS if policy_of(chosen).averages else None, seed=0)
    return step


def make_batch(ids: list[int], device: torch.device = CPU) -> ClipBatch:
    """Clips of noise, each the same at any time."""
    frames = [torch.randint(0, 256, (4, 32, 32, 3), generator=torch.Generator().manual_seed(clip)) for clip in ids]
    pixels = torch.stack(frames).byte() if ids else torch.empty((0, 4, 32, 32, 3), dtype=torch.uint8)
    return ClipBatch(torch.tensor(ids, dtype=torch.int64, device=device), pixels.to(device))


def flat(step: Step) -> dict[str, Tensor]:
    """All that a step changes."""
    return {f"{name}.{key}": t.clone() for name, group in step.tensors().items() for key, t in group.items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """The same bits."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


BATCHES = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


def test_it_is_the_textbooks_step() -> None:
    step = make_step()
    torch.manual_seed(0)
    network = SciuModel(TinyLstm(), CLASSES)
    optimiser = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, weight_decay=1e-4, fused=True)
    mean, spread = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    for ids in BATCHES:
        batch = make_batch(ids)
        step(batch, 0.05)
        output = network(((batch.frames_BTHWC.float() - mean) / spread).permute(0, 1, 4, 2, 3))
        loss = weighted_cross_entropy(output.logits_BK, output.weight_B, torch.from_numpy(LABELS[ids]).long()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        scores = scores_of(step.clip_tensors)
        found = [scores.ids.tolist().index(clip) for clip in ids]
        assert np.array_equal(scores.weights[found], output.weight_B.detach().numpy())
        assert np.allclose(scores.probs[found], output.logits_BK.detach().softmax(dim=1).numpy(), atol=1e-6)
    ours, theirs = step.network.state_dict(), network.state_dict()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in theirs)


def test_scores_may_be_of_the_weighted_logits() -> None:
    plain, weighted = make_step(), make_step(scores="weighted")
    for step in (plain, weighted):
        step(make_batch([0, 1]), 0.0)
    assert weighted.clip_tensors.probs_NK[:2].max() < plain.clip_tensors.probs_NK[:2].max()


def test_clips_that_are_scored_only_teach_nothing() -> None:
    """They only affect BatchNorm, so a step of such clips alone moves no weight."""
    step = make_step(weight_decay=0.0)
    step.begin(np.full(CLIPS, -1, np.int16), seed=0)
    before = [weight.clone() for weight in step.network.parameters()]
    step(make_batch([0, 1, 2]), 0.1)
    assert all(torch.equal(a, b) for a, b in zip(before, step.network.parameters(), strict=True))
    assert step.clip_tensors.seen_N[:4].tolist() == [1, 1, 1, 0]


def test_a_batch_of_no_clips_changes_nothing() -> None:
    step = make_step()
    before = flat(step)
    step(make_batch([]), 0.1)
    assert same(before, flat(step))


@pytest.mark.parametrize("settings", [{}, {"optimiser": "adamw", "average": 0.9, "amp": "bf16"}])
def test_trying_it_out_leaves_no_trace(settings: dict[str, Any]) -> None:
    tried, untried = make_step(**settings), make_step(**settings)
    tried(make_batch(BATCHES[0]), 0.05)
    untried(make_batch(BATCHES[0]), 0.05)
    random = torch.get_rng_state()
    tried.prepare(4, (4, 32, 32), graph=False)
    assert torch.equal(random, torch.get_rng_state())
    assert same(flat(tried), flat(untried))
    for ids in BATCHES[1:]:
        tried(make_batch(ids), 0.05)
        untried(make_batch(ids), 0.05)
    assert same(flat(tried), flat(untried))


def test_gradients_are_clipped() -> None:
    free, clipped = make_step(weight_decay=0.0), make_step(weight_decay=0.0, clip_gradients=1e-3)
    start = next(free.network.parameters()).detach().clone()
    for step in (free, clipped):
        step(make_batch(BATCHES[0]), 1.0)
    moved = [float((next(step.network.parameters()).detach() - start).norm()) for step in (free, clipped)]
    assert moved[1] <= 1e-3 * 1.01 < moved[0]


def test_rare_classes_pull_harder() -> None:
    even, balanced = make_step(), make_step(class_balance="inverse")
    labels = np.array([0] * 11 + [1], np.int16)
    for step in (even, balanced):
        step.begin(labels, seed=0)
        step(make_batch([0, 1, 11]), 0.1)
    assert not torch.equal(next(even.network.parameters()), next(balanced.network.parameters()))


def test_the_pull_reaches_the_weights() -> None:
    """The pull comes from the epoch's targets; a step with the same labels and no pull differs."""
    pulled, free = make_step(method="elr"), make_step(method="elr")
    free.begin(LABELS, make_targets(TARGETS["average"].T, np.zeros(CLIPS)), seed=0)
    for step in (pulled, free):
        step(make_batch(BATCHES[0]), 0.1)
    assert not torch.equal(next(pulled.network.parameters()), next(free.network.parameters()))


ALL_AT_ONCE = [
    {}, {"average": 0.9}, {"clip_gradients": 0.01}, {"class_balance": "inverse"},
    {"method": "elr"}, {"accumulate": 7},
]  # fmt: skip


@pytest.mark.parametrize("settings", ALL_AT_ONCE)
def test_accumulated_batches_are_one_large_batch(settings: dict[str, Any]) -> None:
    """Up to BatchNorm, which is held still here; some clips are scored only, and a batch may have none at all."""
    labels = np.where(np.arange(CLIPS) % 4 == 1, np.int16(-1), LABELS)
    parts = make_step(**{"accumulate": 4, **settings})
    whole = make_step(**{**settings, "accumulate": 1})
    for step in (parts, whole):
        step.begin(labels, TARGETS if settings.get("method") == "elr" else None, seed=0)
        for module in step.network.modules():
            module.train(not isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d))
    for rate in (0.05, 0.02):
        for k, ids in enumerate([[], *BATCHES]):
            parts(make_batch(ids), rate if k == 0 else 9.0, update=k == len(BATCHES))
        whole(make_batch([clip for ids in BATCHES for clip in ids]), rate)
    one, other = flat(parts), flat(whole)
    assert one.keys() == other.keys()
    for name in one.keys() - {"board.step"}:
        torch.testing.assert_close(one[name], other[name], atol=1e-4, rtol=1e-3, msg=name)
    assert (int(one["board.step"]), int(other["board.step"])) == (8, 2), "batches are counted, also empty ones"


def test_weights_move_once_for_a_group() -> None:
    step, moved = make_step(accumulate=3), []
    step.optimiser.register_step_post_hook(lambda *_: moved.append(len(moved)))
    before = next(step.network.parameters()).detach().clone()
    for update in (False, False, True, False, True):
        step(make_batch(BATCHES[0]), 0.1, update=update)
        assert torch.equal(before, next(step.network.parameters())) == (not moved)
    assert len(moved) == 2
    assert int(step.average._steps) == 2


def test_a_group_without_clips_changes_nothing_and_an_epoch_begins_with_a_new_one() -> None:
    step, other = make_step(accumulate=2), make_step(accumulate=2)
    for update in (False, True):
        step(make_batch([]), 0.1, update=update)
    assert same({**flat(other), "board.step": torch.tensor(2)}, flat(step))
    step(make_batch(BATCHES[0]), 0.1, update=False)
    for each in (step, other):
        each.network.load_state_dict(make_step().network.state_dict())
        each.average = Average(each.network, 0.9)
        each.begin(LABELS, seed=0)
        each(make_batch(BATCHES[1]), 0.1)
    assert same(flat(step), flat(other))


class WithIdleWeights(TinyLstm):
    """A user's own network, part of which has no influence on the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = torch.nn.Linear(3, 3)


def test_weights_without_influence_are_not_part_of_what_ranks_sum() -> None:
    """A rank without clips sums as many numbers as the others, and decays no weight that they do not."""
    torch.manual_seed(0)
    step = make_step(network=SciuModel(WithIdleWeights(), CLASSES), weight_decay=0.5)
    step.prepare(2, (4, 32, 32), graph=False)
    idle = step.network.get_parameter("backbone.idle.weight")
    before, used = idle.detach().clone(), len(step._learning)
    step._lr.fill_(0.1)
    step._step_without_clips(make_batch([]))
    assert used == len(step._weights) - 2
    assert sum(weight.grad is not None for weight in step._weights) == used
    assert torch.equal(before, idle)


def test_a_closed_step_holds_no_graph() -> None:
    step = make_step()
    step._replay = Marker()  # type: ignore[assignment]
    graph = weakref.ref(step._replay)
    step.close()
    assert graph() is None


class Marker:
    """Replaces a captured graph."""


# ---- on a GPU


@pytest.mark.needs_cuda
@pytest.mark.parametrize("amp", ["off", "bf16", "fp16"])
def test_a_gpu_accumulates(amp: str) -> None:
    step = make_step(torch.device("cuda", 0), accumulate=2, amp=amp)
    before = next(step.network.parameters()).detach().clone()
    for update in (False, True):
        step(make_batch(BATCHES[0], torch.device("cuda", 0)), 0.1, update=update)
        assert torch.equal(before, next(step.network.parameters())) != update
    assert all(torch.isfinite(weight).all() for weight in step.network.parameters())


@pytest.fixture
def gpu() -> torch.device:
    return torch.device("cuda", 0)


@pytest.mark.needs_cuda
def test_nothing_waits_for_the_device(gpu: torch.device) -> None:
    step = make_step(gpu, amp="bf16", average=0.9, clip_gradients=1.0)
    batches = [make_batch(ids, gpu) for ids in BATCHES]
    step(batches[0], 0.05)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in batches:
            step(batch, 0.05)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert int(step.clip_tensors.step) == 4


@pytest.mark.needs_cuda
@pytest.mark.parametrize(
    "settings", [{}, {"optimiser": "adamw", "average": 0.9, "amp": "bf16"}, {"amp": "fp16"}, {"method": "elr"}]
)
def test_a_replayed_step_is_the_eager_one(gpu: torch.device, settings: dict[str, Any]) -> None:
    eager, replayed = make_step(gpu, **settings), make_step(gpu, **settings)
    replayed.prepare(4, (4, 32, 32), graph=True)
    assert same(flat(eager), flat(replayed))
    for _ in range(3):
        for ids in BATCHES:
            for step in (eager, replayed):
                step(make_batch(ids, gpu), 0.01)
    one, other = flat(eager), flat(replayed)
    assert all(torch.allclose(one[name], other[name], atol=1e-3) for name in one)


@pytest.mark.needs_cuda
def test_a_replayed_step_follows_rate_and_labels(gpu: torch.device) -> None:
    step = make_step(gpu, weight_decay=0.0, momentum=0.0)
    step.prepare(4, (4, 32, 32), graph=True)
    before = [weight.clone() for weight in step.network.parameters()]
    step(make_batch(BATCHES[0], gpu), 0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, step.network.parameters(), strict=True))
    step(make_batch(BATCHES[0], gpu), 0.1)
    assert not torch.equal(before[0], next(step.network.parameters()))
    assert step.clip_tensors.sums[1] == 8


@pytest.mark.needs_cuda
def test_a_batch_that_is_where_the_step_reads_it_is_not_copied(gpu: torch.device) -> None:
    step, copying = make_step(gpu), make_step(gpu)
    for each in (step, copying):
        each.prepare(4, (4, 32, 32), graph=True)
    assert step.input is not None
    for ids in BATCHES[:2]:
        batch = make_batch(ids, gpu)
        step.input.ids.copy_(batch.ids)
        step.input.frames_BTHWC.copy_(batch.frames_BTHWC)
        step(step.input, 0.01)
        copying(batch, 0.01)
    one, other = flat(step), flat(copying)
    assert all(torch.allclose(one[name], other[name], atol=1e-3) for name in one), "cuDNN adds up in any order"


@pytest.mark.needs_cuda
def test_a_batch_of_another_shape_is_not_replayed(gpu: torch.device) -> None:
    step = make_step(gpu)
    step.prepare(4, (4, 32, 32), graph=True)
    wrong = ClipBatch(torch.zeros(4, dtype=torch.int64, device=gpu), torch.zeros((4, 5, 32, 32, 3), device=gpu).byte())
    with pytest.raises(ValueError, match=r"`frames_BTHWC` must be torch.uint8 \(4, 4, 32, 32, 3\)"):
        step(wrong, 0.01)


@pytest.mark.needs_cuda
def test_memory_does_not_grow_with_short_batches(gpu: torch.device) -> None:
    step = make_step(gpu)
    step.prepare(4, (4, 32, 32), graph=True)
    taken = []
    for _ in range(4):
        for ids in BATCHES:
            step(make_batch(ids, gpu), 0.01)
        torch.cuda.synchronize()
        taken.append(torch.cuda.memory_reserved(gpu))
    assert taken[1:] == taken[:1] * 3
