"""Build the parts of a run from its settings, and print each automatic choice with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from sciu.models.compiled import compiled
from sciu.models.errors import ModelError
from sciu.models.registry import build_backbone, frame_size
from sciu.models.sciu_model import SciuModel
from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.errors import kind_and_line, require
from sciu.pipeline.feed.dali_feed import DaliFeed
from sciu.pipeline.feed.feed import Feed
from sciu.pipeline.feed.plan.plan import Planner
from sciu.pipeline.feed.synthetic_feed import SyntheticFeed
from sciu.pipeline.feed.torch_feed import TorchFeed
from sciu.pipeline.train.config.choices import choose_amp, choose_cache, choose_compile, choose_cuda_graph
from sciu.pipeline.train.config.methods import METHODS, policy_of
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import TrainError
from sciu.pipeline.train.job.cores import compute_threads, subnormals_as_zero
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.report.telemetry import Say
from sciu.pipeline.train.run.pretrained import load_pretrained
from sciu.pipeline.train.step.average import Average
from sciu.pipeline.train.step.clip_tensors import ClipTensors
from sciu.pipeline.train.step.failures import explain_failures
from sciu.pipeline.train.step.objectives import objective_of
from sciu.pipeline.train.step.optimiser import make_optimiser
from sciu.pipeline.train.step.step import Step

_TRIED = 2  # clips of the trial step, if nothing is compiled or captured


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that decode and train."""

    feed: Feed
    planner: Planner
    step: Step


def build(
    settings: Settings, dataset: Dataset, device: torch.device, ranks: Ranks, say: Say, stack: ExitStack
) -> Parts:
    """Build the parts, and print what was chosen. The step is tried before the feed's threads start."""
    stack.enter_context(subnormals_as_zero())  # before torch has threads: they do as the thread does that starts them
    step = build_step(settings, len(dataset), dataset.classes, device, ranks, say)
    stack.callback(step.close)
    feed = stack.enter_context(build_feed(settings, dataset, device, ranks, say))
    return Parts(feed=feed, planner=planner_of(settings, dataset, ranks), step=step)


def planner_of(settings: Settings, dataset: Dataset, ranks: Ranks) -> Planner:
    """Return the planner of a rank."""
    return Planner(
        dataset=dataset, sampling=settings.sampling_of_frames(), augmentation=settings.augmentation(),
        size=size_of(settings), batch_size=settings.batch_size, seed=settings.seed, rank=ranks.rank, world=ranks.world,
    )  # fmt: skip


def size_of(settings: Settings) -> int:
    """Return the frame size."""
    return settings.size or frame_size(settings.backbone)


def build_network(settings: Settings, classes: Sequence[str], say: Say) -> SciuModel:
    """Build the network, the same for the same seed, and load the requested weights."""
    torch.manual_seed(settings.seed)
    network = SciuModel(build_backbone(settings.backbone), len(classes), METHODS[settings.method].weight_head)
    load_pretrained(network, settings, classes, say)
    return network


def build_step(
    settings: Settings, clips: int, classes: Sequence[str], device: torch.device, ranks: Ranks, say: Say
) -> Step:
    """Build the step, and try it."""
    network: nn.Module = build_network(settings, classes, say).to(device)
    if settings.sync_batchnorm:
        require(device.type == "cuda", "sync_batchnorm", "off on a CPU, where torch does not support it", True)
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    amp = choose_amp(settings.amp, device)
    graph = choose_cuda_graph(settings.cuda_graph, device, accumulate=settings.accumulate)
    compile_ = choose_compile(settings.compile)
    for name, choice in (("amp", amp), ("cuda graph", graph), ("compile", compile_)):
        say(f"{name}: {choice.value} ({choice.reason})")
    threads = compute_threads(ranks, device, fixed=settings.deterministic or compile_.value == "on")
    step = Step(
        network=network.train(),
        optimiser=make_optimiser(network.parameters(), settings, device),
        objective=objective_of(settings),
        clip_tensors=ClipTensors(
            clips, len(classes), device, balance=settings.class_balance, averages=policy_of(settings).averages
        ),
        average=Average(network, settings.average),
        amp=amp.value, clip_gradients=settings.clip_gradients, weighted_scores=settings.scores == "weighted",
        accumulate=settings.accumulate, batch_size=settings.batch_size, ranks=ranks, threads=threads,
        forward=compiled(network) if compile_.value == "on" else None,
    )  # fmt: skip
    size, wanted = size_of(settings), "on" in (graph.value, compile_.value)
    with _own_backbone_explained(settings.backbone), explain_failures(settings):
        step.prepare(
            settings.batch_size if wanted else _TRIED, (settings.frames, size, size), graph=graph.value == "on"
        )
    return step


@contextmanager
def _own_backbone_explained(name: str) -> Iterator[None]:
    """Report an error in a user's own network in one line."""
    try:
        yield
    except (ModelError, TrainError, MemoryError):
        raise
    except Exception as error:
        if ":" not in name:
            raise
        raise ModelError(f"backbone {name!r} fails on a batch: {kind_and_line(error)}. Fix its module.") from error


def build_feed(settings: Settings, dataset: Dataset, device: torch.device, ranks: Ranks, say: Say) -> Feed:
    """Build the feed."""
    cache, choice = choose_cache(settings, dataset, ranks, device)
    say(f"cache: {choice.value} ({choice.reason})")
    threads = settings.threads or max(1, cores() // ranks.here)
    shared: dict[str, object] = {"dataset": dataset, "device": device, "max_faulty": settings.max_faulty}
    feed: Feed
    if settings.pipeline == "dali":
        feed = DaliFeed(**shared, cache=cache, threads=threads, decode=settings.decode)  # type: ignore[arg-type]
    elif settings.pipeline == "torch":
        feed = TorchFeed(**shared, size=size_of(settings), threads=threads)  # type: ignore[arg-type]
    else:
        feed = SyntheticFeed(**shared)  # type: ignore[arg-type]
    for reason in feed.reasons:
        say(f"{settings.pipeline}: {reason}")
    return feed
