"""Save and resume a run: tensors, position and scores of the unfinished epoch, in one file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from sciu.pipeline.errors import kind_and_line
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.purify import carry_quarantine, left_out_of, publish_index
from sciu.pipeline.train.record.checkpoints import LAST, require_fitting
from sciu.pipeline.train.record.run_state import RunState
from sciu.pipeline.train.report.telemetry import WARNING
from sciu.pipeline.train.run.run import Run
from sciu.pipeline.train.step.snapshot import copy_into
from sciu.pipeline.train.step.step import Step
from sciu.purification import EpochIndex


def save(run: Run, state: RunState, index: EpochIndex) -> None:
    """Start to write a checkpoint. Collective; rank 0 writes."""
    step, ranks = run.step, run.ranks
    listed = set(index.ids.tolist())
    faults = ranks.gather({clip: why for clip, why in run.feed.faults.items() if clip in listed})
    own = ranks.gather(own_state(step))
    scores = step.clip_tensors.of_all(ranks)
    if ranks.first:
        state.faults = {clip: why for each in faults or () for clip, why in each.items()}
        run.saver.save({
            "run": run.card.run, "settings": asdict(run.settings), "dataset": run.dataset.fingerprint,
            "classes": [*run.dataset.classes], "backbone": run.card.backbone,
            "state": state.to_json(), **step.tensors(), "board": scores, "of_each_rank": own, "amp": step.amp,
            "scaler": step.scaler.state_dict(),
        })  # fmt: skip


def name_checkpoint(run: Run, state: RunState) -> None:
    """Give an ended epoch's checkpoint its names; a run that was killed before does so when it is resumed."""
    if run.ranks.first:
        best = state.best is not None and state.best.epoch == state.epoch
        run.saver.name(state.epoch, best=best)


def restore(run: Run) -> RunState:
    """Restore the newest checkpoint's tensors in place; return its state, a new one without checkpoint. Collective."""
    step, ranks = run.step, run.ranks
    content = ranks.from_first(lambda: _load_newest(run))
    ranks.share([t for name, group in step.tensors().items() if name != "board" for t in group.values()])
    state = RunState(world=ranks.world) if content is None else RunState.from_json(content["state"])
    index = publish_index(run.purifier, state.epoch, run.folder)  # refuses a store that is behind the checkpoint
    if content is not None:
        _restore_rank(run, content, same_world=state.world == ranks.world)
    left_out = left_out_of(index, run.dataset)
    if state.measured is None and (state.world, state.left_out) != (ranks.world, left_out):
        seen = step.clip_tensors.seen_N[:-1].nonzero().squeeze(1).tolist()  # these are done, a new plan has the rest
        state.done, state.step = ranks.broadcast(seen), 0
    state.world, state.left_out = ranks.world, left_out
    step.clip_tensors.step.fill_(state.step)
    run.feed.faults.update(state.faults)
    _carry_quarantine(run, state)
    return state


def _restore_rank(run: Run, content: dict[str, Any], *, same_world: bool) -> None:
    """Restore what a rank has to itself; of another number of ranks none is this one."""
    step, path = run.step, run.checkpoints.folder / LAST
    if content["amp"] != step.amp:
        run.say(f"{WARNING}amp was {content['amp']} and is {step.amp} now: the run continues, but with other results")
    elif step.amp == "fp16":
        step.scaler.load_state_dict(content["scaler"])
    if same_world:
        try:
            own = content["of_each_rank"][run.ranks.rank]
            set_random_state(own["random"], step.device)
        except (LookupError, TypeError, RuntimeError) as error:
            raise RunError(f"checkpoint '{path}' is damaged: {kind_and_line(error)}. Remove it.") from error
        require_fitting(path, own, {"statistics": statistics(step)})
        copy_into({"statistics": statistics(step)}, own)


def _carry_quarantine(run: Run, state: RunState) -> None:
    """Carry over what `sciu-data check` has quarantined meanwhile, and refuse a run that can no longer choose."""
    if run.card.held_out and not len(run.held_out):
        raise RunError(
            f"all {len(run.card.held_out)} validation clips, which choose the best epoch, are in the dataset's"
            " quarantine. Repair their files and run `sciu-data check`."
        )
    ended = state.measured is not None and state.epoch == run.settings.epochs
    if not ended and (count := carry_quarantine(run.purifier, run.dataset)):
        run.say(f"quarantine: {count:,} clips that `sciu-data check` has quarantined are left out from now on")


def _load_newest(run: Run) -> dict[str, Any] | None:
    """Restore the tensors of the newest checkpoint in place; return the rest of it."""
    if (content := run.checkpoints.newest(run.card.run)) is None:
        return None
    tensors = run.step.tensors()
    require_fitting(run.checkpoints.folder / LAST, content, tensors)
    copy_into(tensors, content)
    return {name: value for name, value in content.items() if name not in tensors}


def statistics(step: Step) -> dict[str, Tensor]:
    """Return BatchNorm's running statistics and their averages, which differ between ranks until an epoch ends."""
    own = {name: buffer for name, buffer in step.network.named_buffers() if buffer.is_floating_point()}
    return {**own, **{f"average.{k}": value for k, value in enumerate(step.average.statistics)}}


def own_state(step: Step) -> dict[str, Any]:
    """Return what differs between ranks, on the host: the rank that unpickles it would otherwise use our GPU."""
    on_host = {name: tensor.cpu() for name, tensor in statistics(step).items()}
    return {"random": random_state(step.device), "statistics": on_host}


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the state of torch's generators, which dropout draws from."""
    states = {"cpu": torch.get_rng_state()}
    return {**states, "cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def set_random_state(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Restore the state of torch's generators."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
