"""Jobs that pack a share each, killed ones among them, make the dataset that one job makes; wrong parts are refused."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Answer, silent
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.check import check
from sciu.pipeline.dataset.pack import Packing, Shard, pack, pack_shard
from sciu.pipeline.dataset.pack.parts import Parts
from sciu.pipeline.dataset.system.files import only_writer
from sciu.pipeline.errors import SettingError

SMALL = Packing(size=32)
THREE = [Shard(number, 3) for number in (1, 2, 3)]


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def pack_all(dataset: Dataset, out: Path, shards: list[Shard] = THREE) -> None:
    for shard in shards:
        pack_shard(dataset, out, SMALL, shard, silent)


@pytest.fixture(scope="module")
def parted(faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished parts, to be copied."""
    folder = tmp_path_factory.mktemp("parted")
    pack_all(faces, folder / "out")
    return folder


@pytest.fixture
def out(parted: Path, tmp_path: Path) -> Path:
    shutil.copytree(parted / "out.parts", tmp_path / "out.parts")
    return tmp_path / "out"


@given(st.integers(0, 200), st.integers(1, 20))
def test_each_clip_belongs_to_one_shard(clips: int, count: int) -> None:
    shards = [Shard.of(f"{number}/{count}") for number in range(1, count + 1)]
    assert all(sum(shard.has(clip) for shard in shards) == 1 for clip in range(clips))


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "a/b", "1/3/5", "-1/3", ""])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="--shard must be"):
        Shard.of(text)


def test_jobs_at_once_of_which_one_is_killed_make_what_one_job_makes(
    faces: Dataset, tmp_path: Path, sciu: Callable[..., Answer]
) -> None:
    pack(faces, tmp_path / "whole", SMALL, silent)
    pack_command = ["pack", str(faces.folder), "--out", str(tmp_path / "out"), "--size", "32"]
    command = [sys.executable, "-m", "sciu.tools.data", *pack_command]
    first, second = (
        subprocess.Popen([*command, "--shard", shard], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for shard in ("1/2", "2/2")
    )
    begun = tmp_path / "out.parts" / "2-of-2.partial" / "media"
    while not list(begun.glob("*.mp4")) and second.poll() is None:
        time.sleep(0.01)
    second.send_signal(signal.SIGKILL)
    assert second.wait() == -signal.SIGKILL
    assert first.wait() == 0
    early = sciu("data", *pack_command)
    assert early.code == 3
    assert "are not complete: 2/2 missing or unfinished. Run the command with --shard" in early.err
    time.sleep(0.5)  # the workers of a killed job end a moment after it
    kept = len(list(begun.glob("0*.mp4")))
    again = sciu("data", *pack_command, "--shard", "2/2", "--json")
    assert (again.code, again.json["kept"], again.json["clips"]) == (0, kept, 14)
    joined = sciu("data", *pack_command, "--json")
    assert (joined.code, joined.json["kept"], joined.json["clips"]) == (0, 28, 28)
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]
    late = sciu("data", *pack_command, "--shard", "1/2")
    assert late.code == 2
    assert "output folder must be new or empty" in late.err


@pytest.mark.parametrize("moment", ["moving", "before the parts are removed", "while they are removed"])
def test_a_joining_that_was_interrupted_goes_on(faces: Dataset, tmp_path: Path, out: Path, moment: str) -> None:
    pack(faces, tmp_path / "whole", SMALL, silent)
    moves: list[Path] = []

    def stop_at_the_ninth(source: Path, target: Path) -> Path:
        moves.append(target)
        if len(moves) == 9:
            raise KeyboardInterrupt
        return replace(source, target)

    replace = Path.replace
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if moment == "moving":
            patch.setattr(Path, "replace", stop_at_the_ninth)
        elif moment == "before the parts are removed":
            patch.setattr(Parts, "remove", stop)
        else:
            patch.setattr(shutil, "rmtree", stop)
        pack(faces, out, SMALL, silent)
    assert not out.exists()
    packed = pack(faces, out, SMALL, silent)
    assert packed.counts == {"copied": 0, "encoded": 0, "kept": 28, "failed": 0}
    assert content(out) == content(tmp_path / "whole")
    assert not (tmp_path / "out.parts").exists()


def test_a_clip_that_breaks_costs_itself(faces: Dataset, tmp_path: Path) -> None:
    source = Dataset.load(shutil.copytree(faces.folder, tmp_path / "copy"))
    source.path(6).write_bytes(b"junk")
    whole = pack(source, tmp_path / "whole", SMALL, silent)
    pack_all(source, tmp_path / "out")
    packed = pack(source, tmp_path / "out", SMALL, silent)
    assert packed.counts == {"copied": 0, "encoded": 0, "kept": 27, "failed": 1}
    assert packed.problems == whole.problems
    assert content(tmp_path / "out") == content(tmp_path / "whole")


@pytest.fixture
def broken(faces: Dataset, tmp_path: Path) -> Dataset:
    """A copy of the dataset whose clip 6 is damaged."""
    source = Dataset.load(shutil.copytree(faces.folder, tmp_path / "copy"))
    source.path(6).write_bytes(b"junk")
    return source


def test_a_repaired_clip_of_a_finished_part_is_packed_when_its_job_runs_again(
    faces: Dataset, broken: Dataset, tmp_path: Path
) -> None:
    pack_all(broken, tmp_path / "out")
    again = pack_shard(broken, tmp_path / "out", SMALL, THREE[0], silent)
    assert (again.counts["kept"], again.counts["failed"]) == (9, 1)
    shutil.copy(faces.path(6), broken.path(6))
    repaired = pack_shard(broken, tmp_path / "out", SMALL, THREE[0], silent)
    assert (repaired.counts["kept"], repaired.counts["encoded"], repaired.counts["failed"]) == (9, 1, 0)
    pack(broken, tmp_path / "out", SMALL, silent)
    pack(broken, tmp_path / "whole", SMALL, silent)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_two_jobs_that_pack_again_what_failed(broken: Dataset, tmp_path: Path) -> None:
    pack_shard(broken, tmp_path / "out", SMALL, THREE[0], silent)
    part = tmp_path / "out.parts" / "1-of-3"
    with only_writer(part / "pack.json"), pytest.raises(DatasetError, match="by another process"):
        pack_shard(broken, tmp_path / "out", SMALL, THREE[0], silent)


def test_a_job_tells_which_clips_failed_and_where_its_part_is(
    broken: Dataset, tmp_path: Path, sciu: Callable[..., Answer]
) -> None:
    command = ["pack", str(broken.folder), "--out", str(tmp_path / "out"), "--size", "32", "--shard", "1/3"]
    part = tmp_path / "out.parts" / "1-of-3"
    told = sciu("data", *command)
    assert told.code == 1
    assert "is not a video file, or is damaged" in told.out
    assert f"10 clips of shard 1/3 packed into '{part}'" in told.out
    found = sciu("data", *command, "--json").json
    assert (found["out"], found["failed"]) == (str(part), 1)
    assert [problem["id"] for problem in found["problems"]] == [6]


def test_what_an_unfinished_pack_left_does_not_replace_what_the_parts_have(faces: Dataset, tmp_path: Path) -> None:
    source = Dataset.load(shutil.copytree(faces.folder, tmp_path / "copy"))
    out = tmp_path / "out"
    shutil.copy(faces.path(5), source.path(4))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Parts, "remove", stop)
        pack(source, out, SMALL, silent)
    shutil.copy(faces.path(4), source.path(4))  # as many frames, other pixels
    pack_all(source, out)
    pack(source, out, SMALL, silent)
    pack(source, tmp_path / "whole", SMALL, silent)
    assert content(out) == content(tmp_path / "whole")


def test_parts_begun_while_a_whole_pack_runs_stay(faces: Dataset, parted: Path, tmp_path: Path) -> None:
    def begin(done: int, _: int) -> None:
        if done == 1:
            shutil.copytree(parted / "out.parts", tmp_path / "out.parts")

    pack(faces, tmp_path / "out", SMALL, begin)
    assert content(tmp_path / "out.parts") == content(parted / "out.parts")


def test_parts_are_removed_after_an_earlier_removal_was_killed_midway(faces: Dataset, out: Path) -> None:
    left = out.with_name("out.partial") / "parts" / "1-of-3"
    left.mkdir(parents=True)
    (left / "clips.json").touch()
    (left.parent.parent / ".sciu-partial").write_text("pack")
    assert pack(faces, out, SMALL, silent).counts["kept"] == 28
    assert not (out / "parts").exists()
    assert not out.with_name("out.parts").exists()


def test_a_hidden_file_beside_the_parts_is_ignored(faces: Dataset, out: Path) -> None:
    (out.with_name("out.parts") / ".nfs0001").touch()
    pack_shard(faces, out, SMALL, THREE[0], silent)
    assert pack(faces, out, SMALL, silent).counts["kept"] == 28


def test_parts_of_machines_that_mount_the_media_elsewhere_are_joined(faces: Dataset, tmp_path: Path, out: Path) -> None:
    elsewhere = Dataset.load(shutil.copytree(faces.folder, tmp_path / "elsewhere"))
    assert elsewhere.media != faces.media
    assert pack_shard(elsewhere, out, SMALL, THREE[0], silent).counts["kept"] == 10
    assert pack(elsewhere, out, SMALL, silent).counts["kept"] == 28


def test_a_part_that_is_ready_is_not_packed_again(faces: Dataset, out: Path) -> None:
    before = content(out.with_name("out.parts"))
    counts = pack_shard(faces, out, SMALL, THREE[0], silent).counts
    assert (counts["kept"], counts["encoded"]) == (10, 0)
    assert content(out.with_name("out.parts")) == before


def test_two_jobs_of_one_shard(faces: Dataset, tmp_path: Path) -> None:
    partial = tmp_path / "out.parts" / "1-of-3.partial"
    partial.mkdir(parents=True)
    with only_writer(partial / ".sciu-partial"), pytest.raises(DatasetError, match="by another process"):
        pack_shard(faces, tmp_path / "out", SMALL, THREE[0], silent)


def test_a_clip_released_since_is_told(faces: Dataset, tmp_path: Path) -> None:
    source = Dataset.load(shutil.copytree(faces.folder, tmp_path / "copy"))
    good = source.path(4).read_bytes()
    source.path(4).write_bytes(b"junk")
    marked, _ = check(source, "probe", silent)
    pack_all(marked, tmp_path / "out")
    source.path(4).write_bytes(good)
    released, _ = check(marked, "probe", silent)
    with pytest.raises(DatasetError, match="2-of-3' lacks 1 clips, such as clip 4, which .* --shard 2/3 again"):
        pack(released, tmp_path / "out", SMALL, silent)
    shutil.rmtree(tmp_path / "out.parts" / "2-of-3")
    pack_shard(released, tmp_path / "out", SMALL, THREE[1], silent)
    assert pack(released, tmp_path / "out", SMALL, silent).counts["kept"] == 28


def lose(parts: Path) -> None:
    shutil.rmtree(parts / "2-of-3")


def lose_all(parts: Path) -> None:
    for part in parts.iterdir():
        shutil.rmtree(part)


def unlink(name: str) -> Callable[[Path], None]:
    return lambda parts: (parts / "2-of-3" / name).unlink()


def rename(parts: Path) -> None:
    (parts / "2-of-3").rename(parts / "2-of-3.partial")


def copy(parts: Path) -> None:
    shutil.rmtree(parts / "2-of-3")
    shutil.copytree(parts / "1-of-3", parts / "2-of-3")


def store(found: object) -> Callable[[Path], object]:
    return lambda parts: (parts / "2-of-3" / "clips.json").write_text(json.dumps(found))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lose, "are not complete: 2/3 missing or unfinished"),
    "unfinished": (rename, "are not complete: 2/3 missing or unfinished"),
    "all missing": (lose_all, "complete: all missing"),
    "of another division": (lambda parts: (parts / "1-of-4").mkdir(), "holds parts of 3 and of 4. Remove the wrong"),
    "doubled": (lambda parts: shutil.copytree(parts / "1-of-3", parts / "1-of-3 (copy)"), "is not a part of a pack"),
    "copied": (copy, "other settings: shard 1/3 then, 2/3 now"),
    "strange": (lambda parts: (parts / "notes.txt").touch(), "notes.txt' is not a part of a pack"),
    "empty": (unlink("pack.json"), "2-of-3' is not a part of a pack"),
    "without a file": (unlink("media/0000004.mp4"), "lacks 1 .* such as 0000004.mp4"),
    "with an empty file": (
        lambda parts: (parts / "2-of-3" / "media" / "0000004.mp4").write_bytes(b""),
        "lacks 1 of its files, or they are empty, such as 0000004.mp4",
    ),
    "without its list": (unlink("clips.json"), "2-of-3' is damaged"),
    "with a damaged list": (store([]), "2-of-3' is damaged"),
    "with impossible frames": (store({"1": -4}), "2-of-3' is damaged"),
    "without a clip": (store({"1": 12}), "lacks 8 clips, such as clip 4"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_parts_are_refused_and_nothing_is_moved(faces: Dataset, out: Path, wrong: str) -> None:
    spoil, message = WRONG[wrong]
    parts = out.with_name("out.parts")
    spoil(parts)
    before = content(parts)
    with pytest.raises(DatasetError, match=message):
        pack(faces, out, SMALL, silent)
    assert not out.exists()
    assert content(parts) == before


def test_parts_of_other_settings_are_refused(faces: Dataset, out: Path) -> None:
    for again in (
        lambda: pack_shard(faces, out, Packing(size=64), THREE[0], silent),
        lambda: pack(faces, out, Packing(size=64), silent),
    ):
        with pytest.raises(DatasetError, match="other settings: size 32 then, 64 now"):
            again()
        shutil.rmtree(out.with_name("out.partial"), ignore_errors=True)
    with pytest.raises(DatasetError, match="holds parts of 3, but this is shard 1/4. Give --shard I/3"):
        pack_shard(faces, out, SMALL, Shard(1, 4), silent)
