"""`models`: seconds of a forward and a backward pass, ours beside the usual way to write the network."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from torch import Tensor, nn

from sciu.models.backbones.lstm import LstmOverFrames
from sciu.models.compiled import compiled
from sciu.models.registry import build_backbone, frame_size
from sciu.tools.benchmarks.measure import json_file, measure, report
from sciu.tools.command.backbone import backbone_option


class FrameAfterFrame(nn.Module):
    """The same network as DFER codes write it: called once a frame, channels first."""

    def __init__(self, network: LstmOverFrames) -> None:
        super().__init__()
        self.network = network

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        """Loop over the frames."""
        features = [self.network.image_network(frame_BCHW) for frame_BCHW in clip_BTCHW.unbind(dim=1)]
        states_BTD: Tensor = self.network.lstm(torch.stack(features, dim=1))[0]
        return states_BTD[:, -1]


@click.command()
@backbone_option
@click.option("--size", type=click.IntRange(min=1), help="Scale frames to this size.  [default: the network's]")
@click.option("--batch-size", type=click.IntRange(min=1), default=8, help="Put this many clips in a batch.")
@click.option("--frames", type=click.IntRange(min=1), default=16, help="Take this many frames from each clip.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Measure this many rounds.")
@json_file
def models(backbone: str, size: int | None, batch_size: int, frames: int, rounds: int, out: Path | None) -> None:
    """Run a batch forward and backward in float32, in bf16, compiled, and as DFER codes write the network.

    Those call the image network frame after frame, channels first, in float32.

    Example: python tools/bench.py models --backbone resnet18_lstm --batch-size 8
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = size or frame_size(backbone)
    clips = torch.rand(batch_size, frames, 3, size, size, device=device)
    network = build_backbone(backbone).to(device).to(memory_format=torch.channels_last)
    contestants = {
        ("float32", "ours"): _there_and_back(network, clips),
        ("bf16", "bf16"): _there_and_back(network, clips, bf16=True),
        ("bf16, compiled", "compiled"): _there_and_back(compiled(network), clips, bf16=True),
    }
    if isinstance(network, LstmOverFrames):
        usual = build_backbone(backbone).to(device)
        assert isinstance(usual, LstmOverFrames)
        contestants["float32, frame after frame", "usual"] = _there_and_back(FrameAfterFrame(usual), clips)
    for run in contestants.values():  # compile, choose algorithms, touch memory
        run()
    settings = {"backbone": backbone, "size": size, "batch_size": batch_size, "frames": frames, "device": device}
    report(measure(contestants, rounds), out, **settings)


def _there_and_back(network: Callable[[Tensor], Tensor], clips: Tensor, *, bf16: bool = False) -> Callable[[], float]:
    def run() -> float:
        _wait(clips)
        began = time.perf_counter()
        with torch.autocast(clips.device.type, torch.bfloat16, enabled=bf16):
            loss = network(clips).float().square().mean()
        loss.backward()
        _wait(clips)
        return time.perf_counter() - began

    return run


def _wait(clips: Tensor) -> None:
    if clips.is_cuda:
        torch.cuda.synchronize()
