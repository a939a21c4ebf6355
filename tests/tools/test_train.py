"""`sciu-train` as its users meet it: a whole small run, every method, and what goes wrong while it trains."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from helpers import without_groups
from PIL import Image
from shared import copy_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training import Sciu, tensors, train

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.methods import METHODS
from sciu.purification import EpochIndex, Purifier

OPTIONS = """
    accumulate amp as_json assignments average backbone batch_size cache cgp compile config cuda_graph decode device
    dry_run epochs evaluate_every fgc fold frames labels_from lr max_faulty method must_resume out patience pipeline
    preset print_config profile quiet resume sampling seed size threads validation version views weights
"""


def test_the_options_are_these() -> None:
    """A new one also changes this list, the documentation and the changelog."""
    from sciu.tools.train import main

    found = {option.name for option in main.get_params(click.Context(main)) if isinstance(option, click.Option)} - {
        "_click_default_help"
    }
    assert found == set(OPTIONS.split())


def test_a_whole_run(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    answer = train(sciu, frame_faces, tmp_path / "run", "--set", "max_pruned=0.3", "--set", "prune_below=1.0", "--json")
    assert answer.code == 0, answer.err
    summary, records = answer.json, [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert summary == json.loads((tmp_path / "run/summary.json").read_text())
    train_clips = len(frame_faces.ids("train"))
    expected: dict[str, Any] = {
        "method": "sciu", "backbone": "tiny_lstm", "pipeline": "dali", "seed": 0, "device": summary["device"],
        "epochs_done": 2, "train_clips": train_clips, "quarantined": 0,
    }  # fmt: skip
    assert {name: summary[name] for name in expected} == expected
    assert summary["war"] == records[-1]["test"]["war"]
    assert summary["war_best"] == max(record["test"]["war"] for record in records)
    assert set(summary["detection"]) >= {"low_quality", "wrong_label", "correction_accuracy", "label_accuracy_after"}
    assert summary["pruned"] == int(0.3 * train_clips)  # all are below 1; a guard spares the rest
    last = EpochIndex.read(tmp_path / "run/index", 3)
    assert summary["clips_per_epoch"] == [train_clips, len(EpochIndex.read(tmp_path / "run/index", 2).ids)]
    assert len(last.ids) == train_clips - summary["pruned"]
    assert "epoch 2/2" in answer.err
    with Purifier.open(tmp_path / "run/purifier", read_only=True) as purifier:
        assert purifier.epoch == 3
        assert np.array_equal(purifier.index().ids, last.ids)


def test_tensorboard_reads_it(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    train(sciu, frame_faces, tmp_path / "run", "--set", "prune_below=1.0", "--set", "correct_above=0.0")
    events = EventAccumulator(str(tmp_path / "run/tensorboard"), size_guidance={"images": 0, "histograms": 0}).Reload()
    tags = events.Tags()
    expected = """
        train/loss train/accuracy train/rate test/war test/uar test/recall/happy purify/pruned purify/corrected
        purify/restored purify/quarantined purify/threshold/prune_below purify/class/pruned/sad purify/spared/happy
        speed/clips_per_second speed/waiting
    """
    assert set(expected.split()) <= set(tags["scalars"])
    assert {"scores/weight", "scores/score", "scores/delta"} <= set(tags["histograms"])
    assert {"settings/text_summary", "custom_scalars__config__"} <= set(tags["tensors"])
    assert [event.step for event in events.Scalars("purify/pruned")] == [1, 2]
    pictures = {tag: events.Images(tag)[-1].encoded_image_string for tag in ("test/confusion", "previews/pruned")}
    for tag, content in pictures.items():
        assert Image.open(io.BytesIO(content)).format == {"test/confusion": "PNG", "previews/pruned": "GIF"}[tag]


WAYS = [(method, "dali") for method in METHODS] + [("sciu", "torch"), ("sciu", "synthetic"), ("plain", "synthetic")]


@pytest.mark.parametrize(("method", "pipeline"), WAYS)
def test_methods_and_pipelines(sciu: Sciu, frame_faces: Dataset, tmp_path: Path, method: str, pipeline: str) -> None:
    answer = train(sciu, frame_faces, tmp_path / "run", "--method", method, "--pipeline", pipeline, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["method"] == method
    assert answer.json["epochs_done"] == 2
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert np.isfinite(losses).all()


def test_the_dali_and_the_torch_pipeline_learn_the_same(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    for pipeline in ("dali", "torch"):
        train(sciu, frame_faces, tmp_path / pipeline, "--pipeline", pipeline, "--amp", "off", "--method", "plain")
    one, other = tensors(tmp_path / "dali"), tensors(tmp_path / "torch")
    assert all(torch.allclose(one[name].float(), other[name].float(), atol=0.05) for name in one if "model" in name)


def test_evaluate_views_validation_and_averages(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    data = without_groups(frame_faces, tmp_path / "data")
    more = ("--validation", 0.5, "--views", 2, "--set", "average=0.9", "--epochs", 3, "--evaluate-every", 2)
    answer = train(sciu, data, tmp_path / "run", *more, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["best_chosen_on"] == "validation"
    assert answer.json["train_clips"] < len(frame_faces.ids("train"))
    records = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert ["test" in record for record in records] == [False, True, True]
    held_out = json.loads((tmp_path / "run/run.json").read_text())["held_out"]
    assert not set(held_out) & set(EpochIndex.read(tmp_path / "run/index", 1).ids.tolist())
    assert records[-1]["validation"]["clips"] == len(held_out)


def test_retraining_on_the_cleaned_set(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    """What a person decided after the run's end counts too."""
    train(sciu, frame_faces, tmp_path / "first", "--set", "prune_below=1.0")
    cleaned = EpochIndex.read(tmp_path / "first/index", 3)
    clip, label = int(cleaned.ids[0]), (int(cleaned.labels[cleaned.ids[0]]) + 1) % len(frame_faces.classes)
    assert sciu("purify", "pin", tmp_path / "first", clip, "--label", frame_faces.classes[label]).code == 0
    answer = train(
        sciu, frame_faces, tmp_path / "second", "--method", "plain", "--labels-from", tmp_path / "first", "--json"
    )
    assert answer.code == 0, answer.err
    begun = EpochIndex.read(tmp_path / "second/index", 1)
    assert begun.labels[clip] == label
    assert np.array_equal(np.delete(begun.labels, clip), np.delete(cleaned.labels, clip))
    assert answer.json["train_clips"] == len(cleaned.ids)
    refused = train(sciu, frame_faces, tmp_path / "third", "--labels-from", tmp_path / "nowhere")
    assert "nowhere' must be a run" in refused.error()


def test_what_a_run_held_out_is_held_out_again_or_trained_on(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    data = without_groups(frame_faces, tmp_path / "data")
    train(sciu, data, tmp_path / "first", "--validation", 0.5, "--no-cgp")
    from_first = ("--method", "plain", "--labels-from", tmp_path / "first")
    again = train(sciu, data, tmp_path / "again", *from_first, "--validation", 0.5, "--json")
    assert again.json["best_chosen_on"] == "validation"
    held_out = [json.loads((tmp_path / name / "run.json").read_text())["held_out"] for name in ("first", "again")]
    assert held_out[0] == held_out[1] != []
    every = train(sciu, data, tmp_path / "every", *from_first, "--json")
    assert every.json["train_clips"] == len(frame_faces.ids("train"))


# ---- what goes wrong while it trains


def test_clips_that_cannot_be_decoded_are_quarantined(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    copied = Dataset.load(copy_of(frame_faces.folder, tmp_path / "data"))
    bad = copied.ids("train")[3]
    shutil.rmtree(copied.path(bad))
    answer = train(sciu, copied, tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["quarantined"] == 1
    assert bad not in EpochIndex.read(tmp_path / "run/index", 2).ids
    shown = sciu("purify", "show", tmp_path / "run", bad).out
    assert "quarantined" in shown


def test_a_dataset_of_junk_stops_the_run(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    """Junk where JPEG files are expected brings DALI down if it gets to see it."""
    copied = Dataset.load(copy_of(frame_faces.folder, tmp_path / "data"))
    for clip in copied.ids("train").tolist():
        for frame in copied.path(clip).iterdir():
            frame.write_bytes(b"junk" if clip % 2 else frame.read_bytes()[:100])
    answer = train(sciu, copied, tmp_path / "run")
    assert answer.code == 3
    assert "at most 2.0% of the clips may be bad, but" in answer.error()


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint(
    sciu: Sciu, frame_faces: Dataset, tmp_path: Path
) -> None:
    wild = ("--lr", 1e9, "--set", "weight_decay=1e9", "--set", "optimiser=sgd", "--set", "lr_warmup=0")
    answer = train(sciu, frame_faces, tmp_path / "run", *wild)
    assert answer.code == 1
    assert "the loss must be finite, but is not in epoch 1, step" in answer.error()
    assert "clips [" in answer.error()
    assert not (tmp_path / "run/checkpoints").exists()


def test_a_disk_that_is_full_is_told(
    sciu: Sciu, frame_faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1000))
    answer = train(sciu, frame_faces, tmp_path / "run")
    assert "bytes free for a checkpoint, but has 1,000" in answer.error()
    assert answer.code == 1
    monkeypatch.undo()
    again = sciu("train", frame_faces.folder, "--out", tmp_path / "run", "--resume", "--json")
    assert again.code == 0, again.err
    assert again.json["epochs_done"] == 2


BACKBONES = ["resnet18_lstm", "resnet50_lstm", "former_dfer", "vgg13_lstm", "vgg16_lstm", "vit_lstm"]


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_trains(sciu: Sciu, frame_faces: Dataset, tmp_path: Path, backbone: str) -> None:
    size = 224 if backbone == "vit_lstm" else 112 if backbone == "former_dfer" else 32
    more = ("--backbone", backbone, "--size", size, "--frames", 4, "--epochs", 1, "--set", "lr_warmup=0", "--json")
    answer = train(sciu, frame_faces, tmp_path / "run", *more)
    assert answer.code == 0, answer.err
    assert answer.json["backbone"] == backbone


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++")
def test_a_compiled_network_trains(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    answer = train(sciu, frame_faces, tmp_path / "run", "--compile", "on", "--json")
    assert answer.code == 0, answer.err


@pytest.mark.needs_cuda
@pytest.mark.parametrize("more", [[], ["--amp", "fp16"], ["--cuda-graph", "off"], ["--cache", "gpu:1G"]])
def test_a_gpu_trains(sciu: Sciu, frame_faces: Dataset, tmp_path: Path, more: list[str]) -> None:
    answer = train(sciu, frame_faces, tmp_path / "run", "--device", "cuda", *more, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["device"] == "cuda:0"
