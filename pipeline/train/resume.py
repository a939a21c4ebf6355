"""A run saved and gone on with: tensors, position, scores of the unfinished epoch, as one file."""

from __future__ import annotations

from typing import Any

import torch

from sciu.pipeline.train.checkpoints import read_checkpoint
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.rehearsal import put_back
from sciu.pipeline.train.run import Run
from sciu.pipeline.train.state import State
from sciu.purification import EpochIndex


def save(run: Run, state: State, index: EpochIndex) -> None:
    """Write where the run stands. Collective; rank 0 writes."""
    step, ranks = run.parts.step, run.ranks
    listed = set(index.ids.tolist())
    faults = ranks.gather({clip: why for clip, why in run.parts.feed.faults.items() if clip in listed})
    board = step.board.of_all(ranks)
    if not ranks.first:
        return
    state.faults = {clip: why for each in faults or () for clip, why in each.items()}
    measured = state.measured is not None
    content = {
        "run": run.card["run"], "settings": run.card["settings"], "dataset": run.dataset.fingerprint,
        "state": state.content(), **step.tensors(), "board": board,
        "scaler": step.scaler.state_dict(), "random": random_state(step.device),
    }  # fmt: skip
    best = measured and state.best is not None and state.best["epoch"] == state.epoch
    run.checkpoints.save(content, ended=state.epoch if measured else 0, best=best)


def restore(run: Run) -> State:
    """Return where the run stands, its tensors in place; never saved, it stands at its beginning. Collective."""
    step, ranks = run.parts.step, run.ranks
    path = run.checkpoints.latest() if ranks.first else None
    content = read_checkpoint(path) if path else None
    if content is not None:
        if content["run"] != run.card["run"]:
            raise RunError(
                f"checkpoint '{path}' must be of run {run.card['run']}, but is of {content['run']}. Remove it."
            )
        put_back(step.tensors(), content)
        step.scaler.load_state_dict(content["scaler"])
        set_random_state(content["random"], step.device)
    told: dict[str, Any] | None = ranks.broadcast(content["state"] if content else None)
    ranks.share([t for name, group in step.tensors().items() if name != "board" for t in group.values()])
    if told is None:
        return State(world=ranks.world)
    state = State(**told)
    run.parts.feed.faults.update(state.faults)
    if state.world != ranks.world and state.measured is None:
        seen = step.board.seen_N[:-1].nonzero().squeeze(1).tolist()
        state.done, state.step = ranks.broadcast(seen), 0
    state.world = ranks.world
    return state


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the state of torch's generators, which dropout draws from."""
    states = {"cpu": torch.get_rng_state()}
    return {**states, "cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def set_random_state(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Put it back."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
