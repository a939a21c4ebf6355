"""The loop: index -> plan -> batches -> step -> scores -> purifier -> next index, epoch after epoch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from sciu.pipeline.errors import Stopped, count
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.plan.draws import Draw, Draws
from sciu.pipeline.feed.plan.plan import Plan
from sciu.pipeline.train.errors import TrainError
from sciu.pipeline.train.evaluation.evaluate import evaluate
from sciu.pipeline.train.purify import close_epoch, left_out_of, publish_index, require_every_class
from sciu.pipeline.train.record.epoch_record import EpochRecord, Spent, SplitResult
from sciu.pipeline.train.record.history import EPOCHS, PATIENCE, ending
from sciu.pipeline.train.record.run_state import RunState
from sciu.pipeline.train.run.resume import name_checkpoint, save, statistics
from sciu.pipeline.train.run.run import Run
from sciu.pipeline.train.step.clip_tensors import scores_of
from sciu.pipeline.train.step.failures import explain_failures
from sciu.pipeline.train.step.snapshot import unchanged_after
from sciu.pipeline.train.step.throughput import Throughput
from sciu.pipeline.train.step.trace import traced
from sciu.purification import EpochIndex

_STEPS_BETWEEN_CHECKS = 64  # of the loss; each check waits for the GPU


def train(run: Run, state: RunState) -> None:
    """Train to the end. A stop request takes effect after the current step, once a checkpoint is written."""
    index = publish_index(run.purifier, state.epoch, run.folder)
    known = _say_what_is_known(run, state)
    while not _has_ended(run, state):
        if state.measured is None:
            try:
                learn(run, state, index, Throughput(run.step.threads))
                state.measured = _measure(run, state)
            except Stopped:
                _require_finite(run, state, index)
                save(run, state, index)
                run.saver.wait()
                raise
            with state.timed("saving"):
                save(run, state, index)
        name_checkpoint(run, state)
        with state.timed("purifying"):
            index = close_epoch(run.purifier, state, scores_of(run.step.clip_tensors), run.folder)
        with state.timed("reporting"):
            if run.telemetry:
                run.telemetry.report(state, index, again=state.epoch == known)
        state.begin_next()
    run.saver.wait()


def _say_what_is_known(run: Run, state: RunState) -> int:
    """Say where a run continues if the epoch of its checkpoint has been reported already; return that, else 0."""
    if state.measured is None or not run.telemetry or not run.telemetry.has_reported(state.epoch):
        return 0
    why = ending([*state.history, state.measured], run.settings)
    known = f"the run has ended after {count(state.epoch, 'epoch')}"
    run.say({
        None: f"resumed after epoch {state.epoch}",
        EPOCHS: f"{known}; --resume --epochs N goes on to epoch N",
        PATIENCE: f"{known}, by --patience {run.settings.patience}; --resume with a longer one goes on",
    }[why])  # fmt: skip
    return state.epoch


def _has_ended(run: Run, state: RunState) -> bool:
    """Return whether rank 0, which alone keeps the history, knows why the run has ended. Collective."""
    return run.ranks.broadcast(ending(state.history, run.settings) is not None)


def learn(run: Run, state: RunState, index: EpochIndex, throughput: Throughput) -> None:
    """Train on the clips that the index lists, from the state's step on."""
    require_every_class(index, run.dataset, run.settings.fold)
    if not state.under_way:
        state.left_out = left_out_of(index, run.dataset)
        run.feed.try_again(index.ids)
    step, plan, schedule = run.step, _plan(run, state, index), run.schedule(state.epoch)
    step.begin(index.labels, index.targets, seed=None if state.under_way else _seed(run, state))
    progress = run.progress(f"epoch {state.epoch}/{run.settings.epochs}")
    try:
        for batch in throughput.timed(_batches(run, state, plan)):
            lr = schedule.lr(state.epoch - 1 + state.share(len(index.ids), plan.steps))
            state.step += 1
            complete = state.step % run.settings.accumulate == 0 or state.step == plan.steps
            step(batch, lr, update=complete)
            if state.step % _STEPS_BETWEEN_CHECKS == 0:
                _require_finite(run, state, index)
            progress(state.step, plan.steps, str(throughput))
            if complete:  # what a group has accumulated is in no checkpoint
                run.stop.check(run.ranks)
    except Stopped:
        state.spent = _spent(run, state, throughput)
        raise
    _require_finite(run, state, index)
    state.spent = _spent(run, state, throughput)


def _batches(run: Run, state: RunState, plan: Plan) -> Iterator[ClipBatch]:
    batches, file = run.feed.batches(plan, state.step, run.step.input), run.folder.trace
    wanted = run.settings.profile and run.ranks.first and not file.exists()
    return traced(batches, plan.steps - state.step, file, run.say) if wanted else batches


def _plan(run: Run, state: RunState, index: EpochIndex) -> Plan:
    ids = state.remaining(index.ids)
    return run.planner.training(replace(index, ids=ids[~run.dataset.quarantined[ids]]))


def _seed(run: Run, state: RunState) -> int:
    """Return the seed of an epoch's dropout."""
    word = Draws(run.settings.seed, state.epoch, np.array([run.ranks.rank])).words(Draw.DROPOUT)
    return int(word[0, 0] >> np.uint64(1))


def _require_finite(run: Run, state: RunState, index: EpochIndex) -> None:
    """Raise if a loss was not finite; waits for the device. Collective."""
    bad = int(run.step.clip_tensors.bad_step)
    if run.ranks.any(bad >= 0):
        clips = f"{bad + 1}, clips {_plan(run, state, index).step(bad).ids.tolist()}" if bad >= 0 else "of another rank"
        kept = "The checkpoint of the epoch before is kept" if state.epoch > 1 else "No epoch has ended before it"
        raise TrainError(
            f"the loss must be finite, but is not in epoch {state.epoch}, step {clips}. {kept}. In a new run a lower"
            " lr, clip_gradients=1, a longer lr_warmup or --amp off may help."
        )


def _measure(run: Run, state: RunState) -> EpochRecord:
    """Return the epoch's record, evaluated if that is due."""
    step, feed, settings, ranks = run.step, run.feed, run.settings, run.ranks
    loss, learnt, right = ranks.sum(step.clip_tensors.sums.clone()).tolist()
    record = EpochRecord(
        epoch=state.epoch, loss=loss / max(learnt, 1), accuracy=right / max(learnt, 1),
        lr=run.schedule(state.epoch).lr(state.epoch - 1), spent=state.spent,
    )  # fmt: skip
    ranks.mean_all([*statistics(step).values()])
    if state.epoch % settings.evaluate_every == 0 or state.epoch == run.card.epochs_at(state.epoch):
        results: dict[str, SplitResult] = {}
        for split, ids in run.evaluated().items():
            with state.timed("evaluating"):
                found = evaluate(
                    step, feed, run.planner, ids, views=settings.views, ranks=ranks, progress=run.progress(split),
                    stop=run.stop,
                )  # fmt: skip
            results[split] = found.confusion.result(run.dataset.classes, found.asked)
        record = replace(record, validation=results.get("validation"), test=results["test"])
        state.note_best(record)
    return record


def _spent(run: Run, state: RunState, throughput: Throughput) -> Spent:
    """Return the time and counts of the epoch so far. Collective."""
    tally = run.ranks.totals(asdict(run.feed.tally))
    waits: dict[str, Any] = {name: tally.pop(name) / run.ranks.world for name in ("reading", "decoding", "rendering")}
    counts = {name: int(total) for name, total in tally.items()}
    return state.spent + Spent(seconds=throughput.seconds, waiting=throughput.waiting, **waits, **counts)


def dry_run(run: Run) -> float:
    """Take one step on real clips and restore everything; return its seconds."""
    index = publish_index(run.purifier, 1, run.folder)
    step, plan = run.step, _plan(run, RunState(), index)
    step.begin(index.labels, index.targets, seed=run.settings.seed)
    with explain_failures(run.settings), unchanged_after(step):
        batch = next(run.feed.batches(plan))
        began = time.perf_counter()
        step(batch, run.settings.lr)
        int(step.clip_tensors.bad_step)  # waits for the device
    return time.perf_counter() - began
