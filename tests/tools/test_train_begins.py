"""`sciu-train` before anything is trained: the settings in use, a trial step, and bad input told in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers import without_groups
from training import SMALL, Sciu, train

from sciu.pipeline.dataset import Dataset


def test_print_config_is_a_config(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("lr = 0.5\n")
    command = (
        "train",
        frame_faces.folder,
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
    again = sciu("train", frame_faces.folder, "--config", tmp_path / "printed.toml", "--print-config")
    values = [[line.split("#")[0] for line in text.out.splitlines()] for text in (printed, again)]
    assert values[0] == values[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--method", "sciu", "--set", "prune_below=nan"], "prune_below must be a finite number, but is nan"),
        (["--set", "prune_below=nan"], "prune_below must be a finite number"),
        (["--set", "window=0"], "`window` must be a whole number from 1 to 32, but is 0"),
        (["--cache", "-1G"], "cache must be auto, off, 8G or gpu:8G, but is '-1G'"),
        (["--device", "cuda:99"], "device must be one of the"),
        (["--backbone", "tiny"], "Did you mean tiny_lstm"),
        (["--max-faulty", "2"], "max_faulty must be 0 to 1, but is 2"),
        (["--weights", "nowhere.pt"], "weights 'nowhere.pt' must be a file, but is missing"),
        (["--fold", "2"], "fold must be 1 to 1"),
    ],
)
def test_print_config_refuses_what_training_refuses(
    sciu: Sciu, frame_faces: Dataset, tmp_path: Path, arguments: list[str], told: str
) -> None:
    printed = sciu("train", frame_faces.folder, *arguments, "--print-config")
    assert told in printed.error()
    assert (printed.code, printed.out) == (2, "")
    assert train(sciu, frame_faces, tmp_path / "run", *arguments).error() == printed.error()


def test_print_config_reads_a_dataset_if_there_is_one(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    told = sciu("train", frame_faces.folder, "--validation", 0.001, "--print-config").error()
    assert "must have at least 2 groups to be divided into 2" in told
    assert sciu("train", tmp_path / "later", "--validation", 0.001, "--print-config").code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--learning-rate", "0.1"], "'--lr'"),
        (["--optimizer", "adamw"], "'--set optimiser=VALUE'"),
        (["--batch", "8"], "'--batch-size'"),
        (["--epoch", "8"], "'--epochs'"),
        (["--weight-decay", "0.1"], "'--set weight_decay=VALUE'"),
        (["--average", "0.9"], "'--weights-average'"),
        (["--cgp", "0.3"], "--cgp takes no value, but is given '0.3'. It is --cgp or --no-cgp: Method sciu: prune"),
        (["--cgp=0.3"], "by `--set prune_below`"),
        (["--no-fgc", "off"], "--no-fgc takes no value, but is given 'off'. It is --fgc or --no-fgc"),
        (["--set", "learning_rate=0.1"], "Did you mean lr?"),
    ],
)
def test_an_option_by_another_name_is_suggested(sciu: Sciu, tmp_path: Path, arguments: list[str], told: str) -> None:
    answer = sciu("train", tmp_path, "--out", tmp_path / "run", *arguments)
    assert answer.code == 2
    assert told in answer.error()


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


def test_a_dataset_of_one_class_is_refused(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    for clip in range(3):
        for split in ("train", "test"):
            shutil.copytree(frame_faces.path(clip), tmp_path / "source" / split / "happy" / str(clip))
    assert sciu("data", "import", "folder", tmp_path / "source", "--out", tmp_path / "data").code == 0
    told = train(sciu, tmp_path / "data", tmp_path / "run").error()
    assert "must have at least two classes to tell apart, but has only ['happy']" in told
    assert not (tmp_path / "run").exists()


def test_holding_out_more_than_leaves_a_clip_of_each_class_is_refused(
    sciu: Sciu, frame_faces: Dataset, tmp_path: Path
) -> None:
    data = without_groups(frame_faces, tmp_path / "data")
    told = train(sciu, data, tmp_path / "run", "--validation", 0.95).error()
    assert (
        "validation must leave clips of each of 7 classes, so hold out at most 14, but 0.95 of 21 clips are 20" in told
    )
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
