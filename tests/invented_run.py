"""Runs that never were, made in a moment: decisions of `noisy_clips`, with the log and the card of a training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from noisy_clips import CLIPS, NAMES, PATHS, begin, one_epoch

from sciu.pipeline.train.config.resolve import resolve
from sciu.pipeline.train.record.epoch_record import EpochRecord, PurifyResult, Spent, SplitResult
from sciu.pipeline.train.record.run_card import DatasetCard, RunCard
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.record.run_state import BestEpoch, RunState
from sciu.pipeline.train.report.summary import Summary

EPOCHS = 5
NASTY = ("<script>alert(1)</script>", "</script>\"'&amp;{{ 7*7 }}", "a\u2028b\u2029<b>c</b>\n")
"""Names of classes and files that a page may only show."""


def invented_run(
    folder: Path, *, names: Sequence[str] = NAMES, paths: Sequence[str] = PATHS, epochs: int = EPOCHS, **settings: Any
) -> Path:
    """Create a run of so many epochs, of which the policy of `noisy_clips` decides from the third on."""
    run = RunFolder(folder)
    with begin(run.store, class_names=names, paths=paths, **settings.pop("store", {})) as purifier:
        states = [one_epoch(purifier).header for _ in range(epochs)]
        created = purifier.events()[0].time
    given: dict[str, Any] = {"method": "sciu", "epochs": EPOCHS, "frames": 2, **settings}
    resolved = resolve([("a test", given)])
    card = RunCard(
        run=folder.name, command=f"/usr/bin/sciu-train faces --out {folder.name}", settings=resolved.settings,
        origins=resolved.origins, labels_from=None, held_out=[], store=created,
        dataset=DatasetCard(folder="/gone/faces", name=names[0], fingerprint="", classes=[*names]),
    )  # fmt: skip
    run.write(card)
    history = [_record(epoch, names, header.counts) for epoch, header in enumerate(states, start=1)]
    if history:
        _write(run, card, history)
    return folder


def _record(epoch: int, names: Sequence[str], counts: dict[str, int]) -> EpochRecord:
    right = 10 + 2 * epoch
    confusion = [[right if j == k else 20 - epoch for j in range(len(names))] for k in range(len(names))]
    recall = right / sum(confusion[0])
    test = SplitResult(
        clips=3 * sum(confusion[0]), unreadable=0, war=recall, uar=recall, confusion=confusion,
        recalls=dict.fromkeys(names, recall),
    )  # fmt: skip
    purify = PurifyResult(counts=counts, thresholds={}, spared={}, classes={})
    loss = float("nan") if epoch == 2 else 1 / epoch
    return EpochRecord(
        epoch=epoch, loss=loss, accuracy=recall, lr=0.1, spent=Spent(seconds=2.0, clips=CLIPS), test=test, purify=purify
    )


def _write(run: RunFolder, card: RunCard, history: list[EpochRecord]) -> None:
    (run.path / "log.jsonl").write_text("".join(json.dumps(record.to_json()) + "\n" for record in history))
    assert history[-1].test is not None
    best = BestEpoch(epoch=history[-1].epoch, chosen_on="test", score=0.5, war=history[-1].test.war, uar=0.5)
    state = replace(RunState(), history=history, best=best)
    summary = Summary.of(card.settings, state, dataset=card.dataset.name, device="cpu").to_json()
    run.summary.write_text(json.dumps({**summary, "detection": {"low_quality": {"precision": 0.5}, "broken": 3}}))
