"""Packing keeps ids, labels and folds, copies what fits, continues after a stop, and never changes its source."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import make_dataset, moving_picture, silent, write_clip, write_frames
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.check import check
from sciu.pipeline.dataset.importers import folder
from sciu.pipeline.dataset.media.encode import CODECS, KIND
from sciu.pipeline.dataset.media.packed import frames_of
from sciu.pipeline.dataset.media.read import read_frames
from sciu.pipeline.dataset.pack import Packing, evenly, pack


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_dataset_in_another_codec(faces: Dataset, tmp_path: Path, codec: str) -> None:
    before = digests(faces.folder)
    packed = pack(faces, tmp_path / "out", Packing(size=24, max_frames=8, codec=codec), silent)
    new = packed.dataset
    assert digests(faces.folder) == before
    assert packed.counts["encoded"] == len(faces)
    assert new.classes == faces.classes
    assert np.array_equal(new.labels, faces.labels)
    assert new.clips.name == faces.clips.name
    assert new.fingerprint == faces.fingerprint
    assert np.array_equal(new.splits().codes, faces.splits().codes)
    assert (new.folder / "truth.csv").read_bytes() == (faces.folder / "truth.csv").read_bytes()
    assert set(new.clips.frames) == {8}
    assert set(new.clips.width) == {24}
    frames = read_frames(new.path(5), KIND[codec], range(8))
    assert {frame.shape for frame in frames} == {(24, 24, 3)}


@pytest.mark.parametrize("codec", ["jpeg", "mjpeg"])
def test_frames_of_the_right_size_are_copied_byte_for_byte(frame_faces: Dataset, tmp_path: Path, codec: str) -> None:
    packed = pack(frame_faces, tmp_path / "out", Packing(size=32, codec=codec), silent)
    assert packed.counts["copied"] == len(frame_faces)
    originals = [(frame_faces.path(4) / f"{number:05d}.jpg").read_bytes() for number in range(1, 13)]
    content = packed.dataset.path(4).read_bytes()
    assert all(original in content for original in originals)
    if codec == "jpeg":
        assert frames_of(content) == originals


@pytest.mark.parametrize("spoil", ["gray", "progressive", "png", "another size"])
def test_frames_that_would_not_decode_alike_are_encoded(tmp_path: Path, spoil: str) -> None:
    clip = tmp_path / "src" / "train" / "happy" / "clip"
    write_frames(clip, moving_picture(3, 32, 32))
    odd = Image.fromarray(moving_picture(1, 32, 32)[0])
    if spoil == "png":
        odd.save(clip / "4.png")
    else:
        odd = odd.convert("L") if spoil == "gray" else odd.resize((30, 32)) if spoil == "another size" else odd
        odd.save(clip / "4.jpg", progressive=spoil == "progressive")
    made = make_dataset(folder.read(tmp_path / "src"), tmp_path / "data")
    packed = pack(made, tmp_path / "out", Packing(size=32, codec="jpeg"), silent)
    assert packed.counts["encoded"] == 1
    assert packed.dataset.clips.frames[0] == 4


@pytest.mark.parametrize(("fit", "bars"), [("pad", True), ("crop", False), ("stretch", False)])
def test_frames_that_are_not_square(tmp_path: Path, fit: str, bars: bool) -> None:
    white = [np.full((20, 40, 3), 255, np.uint8)]
    write_frames(tmp_path / "src" / "train" / "happy" / "clip", white)
    made = make_dataset(folder.read(tmp_path / "src"), tmp_path / "data")
    new = pack(made, tmp_path / "out", Packing(size=32, codec="jpeg", fit=fit), silent).dataset
    (frame,) = read_frames(new.path(0), "frames", [0])
    assert (frame[0].mean() < 20) == bars
    assert frame[16].mean() > 235


@given(st.integers(1, 2000), st.integers(1, 100))
def test_thinning_is_even_and_in_order(frames: int, at_most: int) -> None:
    numbers = evenly(frames, at_most)
    assert len(numbers) == min(frames, at_most)
    assert numbers == sorted(set(numbers))
    assert numbers[0] >= 0
    assert numbers[-1] < frames
    gaps = np.diff(numbers)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_a_clip_that_breaks_costs_itself(faces: Dataset, tmp_path: Path) -> None:
    shutil.copytree(faces.folder, tmp_path / "copy")
    source = Dataset.load(tmp_path / "copy")
    source.path(6).write_bytes(b"junk")
    packed = pack(source, tmp_path / "out", Packing(size=32), silent)
    assert [(problem.id, problem.reason) for problem in packed.problems] == [(6, "is not a video file, or is damaged")]
    assert packed.counts["failed"] == 1
    assert not packed.dataset.path(6).exists()
    assert 6 not in packed.dataset.ids("train")


def test_media_that_went_away_are_waited_for(faces: Dataset, tmp_path: Path) -> None:
    shutil.copytree(faces.folder, tmp_path / "copy")
    source = Dataset.load(tmp_path / "copy")
    (source.folder / "media").rename(source.folder / "kept")
    (source.folder / "media").mkdir()
    for clip in range(5):
        shutil.copy(source.folder / "kept" / source.clips.path[clip], source.path(clip))
    with pytest.raises(DatasetError, match="23 clips of dataset .* are missing from .* The others are packed"):
        pack(source, tmp_path / "out", Packing(size=32), silent)
    assert not (tmp_path / "out").exists()
    shutil.rmtree(source.folder / "media")
    (source.folder / "kept").rename(source.folder / "media")
    counts = pack(source, tmp_path / "out", Packing(size=32), silent).counts
    assert (counts["kept"], counts["encoded"]) == (5, 23)


def test_a_clip_that_is_shorter_than_the_table_says(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        write_clip(tmp_path / "src" / "train" / "happy" / name, "jpeg", frames=9)
    made = make_dataset(folder.read(tmp_path / "src"), tmp_path / "data")
    write_clip(made.path(0), "jpeg", frames=4)
    packed = pack(made, tmp_path / "out", Packing(size=32), silent)
    assert [problem.reason for problem in packed.problems] == ["has no frame 8: it is shorter than the table says"]
    assert [problem.name for problem in packed.problems] == ["train/happy/a.zip"]


def test_a_left_out_clip_keeps_its_reason(faces: Dataset, tmp_path: Path) -> None:
    shutil.copytree(faces.folder, tmp_path / "copy")
    source = Dataset.load(tmp_path / "copy")
    source.path(6).write_bytes(b"junk")
    packed = pack(source, tmp_path / "out", Packing(size=32), silent)
    _, problems = check(packed.dataset, "probe", silent)
    assert [(problem.id, problem.reason) for problem in problems] == [(6, "is not a video file, or is damaged")]


def test_a_sideways_photo_is_packed_upright(tmp_path: Path) -> None:
    picture = Image.fromarray(np.repeat(np.linspace(0, 255, 32).astype(np.uint8)[:, None], 32, axis=1)).convert("RGB")
    exif = Image.Exif()
    exif[0x112] = 6
    clip = tmp_path / "src" / "train" / "happy" / "clip"
    clip.mkdir(parents=True)
    picture.transpose(Image.Transpose.ROTATE_90).save(clip / "1.jpg", exif=exif)
    made = make_dataset(folder.read(tmp_path / "src"), tmp_path / "data")
    packed = pack(made, tmp_path / "out", Packing(size=32, codec="jpeg"), silent)
    assert packed.counts["encoded"] == 1
    (frame,) = read_frames(packed.dataset.path(0), "frames", [0])
    assert np.abs(frame.astype(int) - np.asarray(picture)).mean() < 4


def test_killed_and_run_again_it_ends_the_same(faces: Dataset, tmp_path: Path) -> None:
    pack(faces, tmp_path / "whole", Packing(size=32), silent)
    command = [sys.executable, "-m", "sciu.tools.data", "pack", str(faces.folder), "--size", "32"]
    process = subprocess.Popen([*command, "--out", str(tmp_path / "out")], stderr=subprocess.DEVNULL)
    while not list((tmp_path / "out.partial" / "media").glob("*.mp4")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    time.sleep(0.5)  # its workers end a moment after it
    done = len(list((tmp_path / "out.partial" / "media").glob("0*.mp4")))
    assert done > 0
    packed = pack(faces, tmp_path / "out", Packing(size=32), silent)
    assert packed.counts["kept"] == done
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_going_on_with_other_settings_is_refused(faces: Dataset, tmp_path: Path) -> None:
    partial = tmp_path / "out.partial"
    with pytest.raises(KeyboardInterrupt):
        pack(faces, tmp_path / "out", Packing(size=32), interrupt)
    assert (partial / "pack.json").exists()
    with pytest.raises(DatasetError, match="unfinished pack with other settings: size 32 then, 64 now"):
        pack(faces, tmp_path / "out", Packing(size=64), silent)
    (partial / "pack.json").write_text("null")
    with pytest.raises(DatasetError, match="is damaged. Remove"):
        pack(faces, tmp_path / "out", Packing(size=32), silent)


def test_going_on_takes_no_clip_of_another_source(faces: Dataset, tmp_path: Path) -> None:
    """Two copies of a dataset have the same fingerprint, even if their media differ."""
    copies = [Dataset.load(shutil.copytree(faces.folder, tmp_path / name)) for name in ("a", "b")]
    with pytest.raises(KeyboardInterrupt):
        pack(copies[0], tmp_path / "out", Packing(size=32), interrupt)
    with pytest.raises(DatasetError, match="other settings: media .*/a/media then, .*/b/media now"):
        pack(copies[1], tmp_path / "out", Packing(size=32), silent)


def test_going_on_packs_a_clip_that_changed_anew(faces: Dataset, tmp_path: Path) -> None:
    source = Dataset.load(shutil.copytree(faces.folder, tmp_path / "copy"))
    kept = source.path(13).rename(tmp_path / "away")
    with pytest.raises(DatasetError, match="1 clips .* are missing from"):
        pack(source, tmp_path / "out", Packing(size=32), silent)
    kept.rename(source.path(13))
    source.path(2).write_bytes(source.path(3).read_bytes())
    packed = pack(source, tmp_path / "out", Packing(size=32), silent)
    assert (packed.counts["kept"], packed.counts["encoded"]) == (26, 2)
    assert packed.dataset.path(2).read_bytes() == packed.dataset.path(3).read_bytes()


def interrupt(_done: int, _total: int) -> None:
    raise KeyboardInterrupt
