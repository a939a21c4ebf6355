"""SynthDFER: same seed, same dataset; exactly the requested errors are planted, and only in the training split."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import silent
from hypothesis import given, settings
from hypothesis import strategies as st

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media.encode import CODECS
from sciu.pipeline.dataset.media.read import read_frames
from sciu.pipeline.dataset.synth import Synth, generate
from sciu.pipeline.dataset.synth.degrade import WAYS
from sciu.pipeline.dataset.synth.generate import CLEAN, LOW_QUALITY, MISLABELLED, write_script
from sciu.pipeline.dataset.synth.noise import KINDS

SMALL = Synth(clips=28, frames=6, size=32)


def truth_of(dataset: Dataset) -> list[dict[str, str]]:
    with (dataset.folder / "truth.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@settings(max_examples=40, deadline=None)
@given(
    clips=st.integers(70, 300),
    classes=st.integers(3, 7),
    noise=st.sampled_from(KINDS),
    wrong=st.sampled_from([0.0, 0.1, 0.2]),
    low=st.sampled_from([0.0, 0.1, 0.25]),
    test=st.sampled_from([0.1, 0.2, 0.5]),
    seed=st.integers(0, 5),
)
def test_exactly_the_wanted_faults_in_the_training_split_only(
    clips: int, classes: int, noise: str, wrong: float, low: float, test: float, seed: int
) -> None:
    planted = {"mislabel": wrong, "low_quality": low, "noise": noise}
    synth = Synth(clips=clips, classes=classes, frames=2, test_share=test, seed=seed, **planted)  # type: ignore[arg-type]
    script = write_script(synth)
    train = ~script.test
    assert (script.kind == MISLABELLED).sum() == round(wrong * train.sum())
    assert (script.kind == LOW_QUALITY).sum() == round(low * train.sum())
    assert (script.kind[script.test] == CLEAN).all()
    assert np.array_equal(script.given_label != script.true_label, script.kind == MISLABELLED)
    assert script.given_label.max() < classes
    assert not set(script.person[train]) & set(script.person[script.test])
    assert abs(script.test.mean() - test) < 0.1


def test_truth_names_every_clip(faces: Dataset) -> None:
    truth = truth_of(faces)
    assert [int(row["clip_id"]) for row in truth] == list(range(len(faces)))
    for clip, row in enumerate(truth):
        assert (row["true_label"] != faces.clips.label[clip]) == (row["kind"] == MISLABELLED)
    assert (faces.folder / "truth.csv").read_text().startswith("clip_id,true_label,kind\n")


@pytest.mark.parametrize("codec", CODECS)
def test_same_seed_same_bytes(tmp_path: Path, codec: str) -> None:
    synth = replace(SMALL, codec=codec)
    first, second = (generate(synth, tmp_path / name, silent) for name in ("a", "b"))
    files = sorted(path.relative_to(first.folder) for path in first.folder.rglob("*") if path.is_file())
    assert len(files) >= len(first) + 3
    for file in files:
        assert (first.folder / file).read_bytes() == (second.folder / file).read_bytes(), file


def test_clips_do_not_depend_on_how_many_there_are_or_what_is_planted(tmp_path: Path) -> None:
    first = generate(replace(SMALL, mislabel=0, low_quality=0), tmp_path / "a", silent)
    other = generate(replace(SMALL, mislabel=0.5, low_quality=0), tmp_path / "b", silent)
    assert first.path(3).read_bytes() == other.path(3).read_bytes()
    assert generate(replace(SMALL, seed=1), tmp_path / "c", silent).path(3).read_bytes() != first.path(3).read_bytes()


def test_an_expression_moves_the_face_and_neutral_hardly_does(tmp_path: Path) -> None:
    dataset = generate(Synth(clips=140, frames=16, mislabel=0, low_quality=0, codec="jpeg"), tmp_path / "a", silent)
    movement: dict[str, list[float]] = {name: [] for name in dataset.classes}
    for clip in range(len(dataset)):
        frames = np.stack(read_frames(dataset.path(clip), "frames", range(16))).astype(float)
        movement[str(dataset.clips.label[clip])].append(np.abs(frames - frames[0])[:, 34:60, 16:48].mean())
    assert np.mean(movement["surprise"]) > 1.3 * np.mean(movement["neutral"])


@pytest.mark.parametrize("way", WAYS)
def test_low_quality_leaves_little_of_the_picture(faces: Dataset, way: object) -> None:
    clip = np.stack(read_frames(faces.path(1), "video", range(12)))
    spoilt = way(clip, np.random.default_rng(0))  # type: ignore[operator]
    assert spoilt.shape == clip.shape
    assert spoilt.dtype == np.uint8
    centre = (slice(None), slice(8, 24), slice(8, 24))
    seen = np.corrcoef(detail(clip[centre]).ravel(), detail(spoilt[centre]).ravel())[0, 1]
    assert abs(seen) < 0.5


def detail(clip: np.ndarray) -> np.ndarray:
    """The visible detail of an expression: differences between neighbouring pixels."""
    return np.diff(clip.astype(float).mean(axis=-1), axis=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": 8}, "--classes must be 2 to 7, but is 8"),
        ({"clips": 13}, "--clips must be 14 .two per class. to"),
        ({"size": 33}, "--size must be an even number from 16 to 1024, but is 33"),
        ({"mislabel": 0.7, "low_quality": 0.7}, "must be at most 1"),
        ({"mislabel": -0.1}, "0 to 1"),
        ({"noise": "weak", "classes": 2}, "3 or more with --noise weak"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Synth(**settings)  # type: ignore[arg-type]
