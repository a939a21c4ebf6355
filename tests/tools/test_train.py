"""`sciu-train` as its users meet it: a whole small run, every method, bad input in one line."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from helpers import Answer
from PIL import Image
from shared import copy_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training import QUICK, SMALL, indexes, same_tensors, stopped_run, tensors

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.methods import METHODS
from sciu.purification import EpochIndex, Purifier

Sciu = Callable[..., Answer]

OPTIONS = """
    amp as_json assignments average backbone batch_size cache cgp compile config cuda_graph decode device dry_run epochs
    evaluate_every fgc fold frames labels_from lr max_faulty method out pipeline preset print_config resume sampling
    seed size threads validation version views weights
"""


def train(sciu: Sciu, data: Dataset | Path, out: Path, *more: object) -> Answer:
    """Train for a few small epochs."""
    folder = data.folder if isinstance(data, Dataset) else data
    return sciu("train", folder, "--out", out, *SMALL, *QUICK, "--epochs", 2, *more)


@pytest.fixture
def copied(frame_faces: Dataset, tmp_path: Path) -> Dataset:
    """A dataset whose files may be broken."""
    shutil.copytree(frame_faces.folder, tmp_path / "data")
    return Dataset.load(tmp_path / "data")


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
    more = ("--validation", 0.3, "--views", 2, "--set", "average=0.9", "--epochs", 3, "--evaluate-every", 2)
    answer = train(sciu, frame_faces, tmp_path / "run", *more, "--json")
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
    train(sciu, frame_faces, tmp_path / "first", "--validation", 0.3, "--no-cgp")
    from_first = ("--method", "plain", "--labels-from", tmp_path / "first")
    again = train(sciu, frame_faces, tmp_path / "again", *from_first, "--validation", 0.3, "--json")
    assert again.json["best_chosen_on"] == "validation"
    held_out = [json.loads((tmp_path / name / "run.json").read_text())["held_out"] for name in ("first", "again")]
    assert held_out[0] == held_out[1] != []
    every = train(sciu, frame_faces, tmp_path / "every", *from_first, "--json")
    assert every.json["train_clips"] == len(frame_faces.ids("train"))


# ---- before anything is trained


def test_print_config_is_a_config(sciu: Sciu, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("lr = 0.5\n")
    command = (
        "train",
        tmp_path,
        "--preset",
        "dfew",
        "--config",
        tmp_path / "mine.toml",
        "--epochs",
        7,
        "--print-config",
    )
    printed = sciu(*command)
    lines = {line.split(" = ")[0]: line for line in printed.out.splitlines()}
    assert "mine.toml" in lines["lr"]
    assert "--epochs" in lines["epochs"]
    assert "preset dfew" in lines["window"]
    assert "default" in lines["seed"]
    (tmp_path / "printed.toml").write_text(printed.out)
    again = sciu("train", tmp_path, "--config", tmp_path / "printed.toml", "--print-config")
    values = [[line.split("#")[0] for line in text.out.splitlines()] for text in (printed, again)]
    assert values[0] == values[1]


def test_a_dry_run_leaves_nothing(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    answer = sciu("train", frame_faces.folder, *SMALL, "--dry-run")
    assert answer.code == 0, answer.err
    assert "one step of 8 clips took" in answer.out
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--backbone", "resnet99_lstm"], 2, "backbone must be one of"),
        (["--preset", "dfw"], 2, "preset must be one of ferv39k, dfew, mafw, demo"),
        (["--set", "lr_warmpu=1"], 2, "Did you mean lr_warmup"),
        (["--fold", "9"], 2, "fold must be 1 to 1"),
        (["--weights", "/nowhere.pt"], 2, "weights '/nowhere.pt' must be a file"),
        (["--method", "scn", "--set", "relabel_above=7"], 2, "relabel_above"),
        (["--device", "cuda:77"], 2, "device must be one of the"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(
    sciu: Sciu, frame_faces: Dataset, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    answer = train(sciu, frame_faces, tmp_path / "run", *arguments)
    assert told in answer.error()
    assert answer.code == code
    assert not (tmp_path / "run").exists()


def test_a_class_that_is_held_out_altogether_is_refused(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    told = train(sciu, frame_faces, tmp_path / "run", "--validation", 0.95).error()
    assert "must have clips to train on, but has none in fold 1 with validation 0.95" in told
    assert not (tmp_path / "run").exists()


OWN = {
    "raises": ("raise KeyError('mine')", "fails on a batch: KeyError: 'mine'"),
    "is of another shape": ("return clip.mean(dim=(2, 3, 4))", "the backbone's embedding must be [B, D] = (2, 5)"),
}


@pytest.mark.parametrize("name", list(OWN))
def test_what_is_wrong_with_ones_own_backbone_is_told_before_anything_is_made(
    sciu: Sciu, frame_faces: Dataset, tmp_path: Path, name: str
) -> None:
    body, told = OWN[name]
    (tmp_path / "mine.py").write_text(f"""
from torch import nn
class Mine(nn.Module):
    embedding_size = 5
    def __init__(self):
        super().__init__()
        self.weight = nn.Linear(1, 1)
    def forward(self, clip):
        {body}
""")
    answer = train(sciu, frame_faces, tmp_path / "run", "--backbone", f"{tmp_path}/mine.py:Mine")
    assert told in answer.error()
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_not_new_is_not_touched(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/thesis.tex").write_text("years of work")
    assert "must be new or empty" in train(sciu, frame_faces, tmp_path / "run").error()
    assert "has no run.json" in train(sciu, frame_faces, tmp_path / "run", "--resume").error()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


# ---- going on


def test_a_run_that_has_ended_says_so_again(
    sciu: Sciu, frame_faces: Dataset, finished_run: Path, tmp_path: Path
) -> None:
    run = copy_of(finished_run, tmp_path / "run")
    before = indexes(run)
    again = sciu("train", frame_faces.folder, "--out", run, "--resume", "--json")
    assert again.code == 0, again.err
    assert again.json == json.loads((finished_run / "summary.json").read_text())
    assert indexes(run) == before


def test_another_configuration_or_dataset_is_shown_and_refused(
    sciu: Sciu, frame_faces: Dataset, copied: Dataset, finished_run: Path, tmp_path: Path
) -> None:
    run = copy_of(finished_run, tmp_path / "run")
    told = sciu("train", frame_faces.folder, "--out", run, "--resume", "--lr", 0.5, "--seed", 3).error()
    assert "lr: 0.004 in the run, 0.5 now" in told
    assert "seed: 0 in the run, 3 now" in told
    table = copied.clips
    other = replace(copied, clips=replace(table, name=[f"other {name}" for name in table.name]))
    other.save()
    told = sciu("train", other.folder, "--out", run, "--resume").error()
    assert "dataset:" in told
    assert sciu("train", copied.folder, "--out", run, "--resume", "--threads", 1).code == 3


def test_the_store_of_another_run_is_refused(
    sciu: Sciu, frame_faces: Dataset, finished_run: Path, tmp_path: Path
) -> None:
    run = copy_of(finished_run, tmp_path / "run")
    shutil.rmtree(run / "purifier")
    again = ("train", frame_faces.folder, "--out", run, "--resume")
    assert "purifier' is missing" in sciu(*again).error()
    train(sciu, frame_faces, tmp_path / "other", "--epochs", 1, "--set", "lr_warmup=0")
    shutil.copytree(tmp_path / "other/purifier", run / "purifier")
    assert "purifier' must be the run's own" in sciu(*again).error()


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', "{"])
def test_a_damaged_card_is_told(sciu: Sciu, frame_faces: Dataset, tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text(content)
    for answer in (
        sciu("train", frame_faces.folder, "--out", tmp_path / "run", "--resume"),
        sciu("eval", tmp_path / "run"),
    ):
        assert "run.json' must" in answer.error()
        assert answer.code == 3


def test_an_older_checkpoint_goes_the_same_way_again(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    """With the newest damaged, the one before it comes to the same end, by the indexes that the store remembers."""
    train(sciu, frame_faces, tmp_path / "run", "--epochs", 3, "--set", "max_pruned=0.2", "--set", "prune_below=1.0")
    before, end = indexes(tmp_path / "run"), tensors(tmp_path / "run")
    checkpoints = tmp_path / "run/checkpoints"
    damaged = bytearray((checkpoints / "last.pt").read_bytes())
    damaged[len(damaged) // 2] ^= 8
    (checkpoints / "last.pt").unlink()
    (checkpoints / "last.pt").write_bytes(damaged)
    again = ("train", frame_faces.folder, "--out", tmp_path / "run", "--resume")
    assert "last.pt' is damaged" in sciu(*again).error()
    (checkpoints / "last.pt").unlink()
    (checkpoints / "epoch_00003.pt").unlink()
    assert sciu(*again).code == 0
    assert indexes(tmp_path / "run") == before
    assert same_tensors(tensors(tmp_path / "run"), end)


@pytest.mark.parametrize("again", [False, True])
def test_what_a_check_quarantined_meanwhile_leaves_the_run(
    sciu: Sciu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """The rest of the epoch continues without the clip, also where a first attempt to resume was killed at once."""
    data, run = stopped_run(tmp_path)
    monkeypatch.chdir(tmp_path)
    dataset = Dataset.load(data)
    scored = torch.load(run / "checkpoints/last.pt", weights_only=True)["board"]["seen"][:-1] > 0
    with Purifier.open(run / "purifier", read_only=True) as purifier:
        bad = int(np.setdiff1d(purifier.index().ids, scored.nonzero()[:, 0].numpy())[0])
    shutil.rmtree(dataset.path(bad))
    assert sciu("data", "check", data).code == 1
    if again:
        with Purifier.open(run / "purifier") as purifier:
            purifier.quarantine([bad], "is missing")
    answer = sciu("train", data, "--out", run, "--resume", "--json")
    assert answer.code == 0, answer.err
    assert again or "quarantine: 1 clips that `sciu-data check` has quarantined are left out" in answer.err
    assert answer.json["quarantined"] == 1
    assert bad in EpochIndex.read(run / "index", 4).ids
    assert bad not in EpochIndex.read(run / "index", 5).ids
    assert answer.json["clips_per_epoch"][3] == len(EpochIndex.read(run / "index", 4).ids) - 1
    assert "is missing" in sciu("purify", "show", run, bad).out


# ---- what goes wrong while it trains


def test_clips_that_cannot_be_decoded_are_quarantined(sciu: Sciu, copied: Dataset, tmp_path: Path) -> None:
    bad = copied.ids("train")[3]
    shutil.rmtree(copied.path(bad))
    answer = train(sciu, copied, tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["quarantined"] == 1
    assert bad not in EpochIndex.read(tmp_path / "run/index", 2).ids
    shown = sciu("purify", "show", tmp_path / "run", bad).out
    assert "quarantined" in shown


def test_a_dataset_of_junk_stops_the_run(sciu: Sciu, copied: Dataset, tmp_path: Path) -> None:
    """Junk where JPEG files are expected brings DALI down if it gets to see it."""
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
