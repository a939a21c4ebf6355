"""`sciu-data` as its users call it: answers for people and machines, exit codes, and mistakes reported in one line."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Answer, write_clip

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.splits import summary

Sciu = Callable[..., Answer]


@pytest.fixture
def copy(faces: Dataset, tmp_path: Path) -> Path:
    return Path(shutil.copytree(faces.folder, tmp_path / "copy"))


@pytest.mark.parametrize("codec", ["vp9", "mjpeg", "h264", "jpeg"])
def test_synth_check_pack_info(tmp_path: Path, sciu: Sciu, codec: str) -> None:
    made, packed = tmp_path / "made", tmp_path / "packed"
    answer = sciu("data", "synth", made, "--clips", 14, "--frames", 6, "--size", 32, "--codec", codec, "--json")
    assert (answer.code, answer.json["codec"]) == (0, codec)
    answer = sciu("data", "check", made, "--decode", "--json")
    assert (answer.code, answer.json["quarantined"], answer.json["problems"]) == (0, 0, [])
    answer = sciu("data", "pack", made, "--out", packed, "--size", 16, "--max-frames", 4, "--codec", codec, "--json")
    assert (answer.code, answer.json["encoded"]) == (0, 14)
    answer = sciu("data", "info", packed, "--json")
    assert answer.code == 0
    assert answer.json["kind"] == ("frames" if codec == "jpeg" else "video")
    assert (answer.json["clips"], answer.json["folds"], answer.json["quarantined"]) == (14, 1, 0)
    assert answer.json["classes"] == ["happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"]
    assert sum(answer.json["splits"]["train"].values()) == sum(answer.json["splits"]["test"].values()) == 7
    assert (answer.json["frames"]["max"], answer.json["sizes"], answer.json["codecs"]) == (
        4,
        {"16x16": 14},
        {codec: 14},
    )


def test_info_for_people(faces: Dataset, sciu: Sciu) -> None:
    answer = sciu("data", "info", faces.folder)
    assert answer.code == 0
    assert "class     train  test" in answer.out
    assert "sizes        32x32 (28)" in answer.out


def test_check_tells_each_problem_and_exits_with_1(copy: Path, sciu: Sciu) -> None:
    (copy / "media" / "000004.webm").write_bytes(b"")
    answer = sciu("data", "check", copy)
    assert answer.code == 1
    assert re.search(r"4 +000004\.webm +is an empty file", answer.out)
    assert sciu("data", "info", copy, "--json").json["quarantine"] == {"is an empty file": 1}
    assert sciu("data", "check", copy, "--json").json["problems"] == [
        {"id": 4, "name": "000004.webm", "reason": "is an empty file"}
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["info", "{tmp}/nowhere"], 3, "no dataset in"),
        (["info", "{data}", "--fold", "2"], 2, "fold must be 1 to 1"),
        (["check", "{tmp}"], 3, "no dataset in"),
        (["pack", "{data}", "--out", "{data}"], 2, "must be new or empty"),
        (["pack", "{data}", "--out", "{tmp}/p", "--size", "17"], 2, "--size must be an even number"),
        (["pack", "{data}", "--out", "{tmp}/p", "--codec", "gif"], 2, "Invalid value for '--codec'"),
        (["synth", "{data}"], 2, "must be new or empty"),
        (["synth", "{tmp}/s", "--classes", "8"], 2, "--classes must be 2 to 7, but is 8"),
        (
            ["synth", "{tmp}/s", "--noise", "weak", "--mislabel", "0.95", "--low-quality", "0", "--frames", "2"],
            2,
            "can mislabel at most",
        ),
        (["import", "dfew", "{tmp}/nowhere", "--out", "{tmp}/o"], 3, "no such folder"),
        (["import", "folder", "{tmp}", "--out", "{tmp}/o"], 3, "The layout is split/class/clip"),
        (["import", "csv", "{tmp}", "--out", "{tmp}/o"], 3, "import folder` takes folders"),
        (["import", "csv", "{tmp}/no.csv", "--out", "{tmp}/o"], 3, "cannot be read: No such file"),
        (
            ["import", "folder", "{tmp}", "--out", "{tmp}/o", "--classes", "a,b,a"],
            2,
            "--classes must be different names",
        ),
        (["synth", "{tmp}/s", "--seed", "-1"], 2, "--seed must be at least 0, but is -1"),
        (["synth", "{tmp}/s", "--clips", "1000000000000"], 2, "--clips must be"),
        (["nonsense"], 2, "No such command"),
        (["info"], 2, "Missing argument"),
    ],
)
def test_mistakes_get_one_line(
    faces: Dataset, tmp_path: Path, sciu: Sciu, arguments: list[str], code: int, message: str
) -> None:
    tmp_path = tmp_path / "empty"
    tmp_path.mkdir()
    answer = sciu("data", *(argument.format(data=faces.folder, tmp=tmp_path) for argument in arguments))
    assert answer.code == code
    assert message in answer.error()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A list of four clips in other columns than ours."""
    for name in "abcd":
        write_clip(tmp_path / f"{name}.mp4", frames=2)
    rows = ["filename;class", "a.mp4;joy", "b.mp4;anger, rage", "c.mp4;happy", "d.mp4;sad"]
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    return tmp_path / "clips.csv"


def test_an_import_of_some_classes_under_new_names(listed: Path, tmp_path: Path, sciu: Sciu) -> None:
    out = tmp_path / "out"
    arguments = ["--columns", "path=filename,label=class", "--delimiter", ";", "--rename", "joy=happy"]
    answer = sciu("data", "import", "csv", listed, "--out", out, *arguments, "--only", 'happy, "anger, rage"', "--json")
    assert (answer.code, answer.json["splits"]) == (0, {"train": {"anger, rage": 1, "happy": 2}})
    assert "class 'joy' was renamed to 'happy': 1 clips" in answer.json["notes"]
    assert Dataset.load(out).made_by.endswith(", renamed {'joy': 'happy'}, only ['happy', 'anger, rage']")


@pytest.mark.parametrize("only", [['"anger, rage",sad'], ['"anger, rage"', "sad"]])
def test_classes_with_commas_are_named_in_quotes(listed: Path, tmp_path: Path, sciu: Sciu, only: list[str]) -> None:
    chosen = [word for each in only for word in ("--only", each)]
    table = ["--columns", "path=filename,label=class", "--delimiter", ";"]
    sciu("data", "import", "csv", listed, "--out", tmp_path / "out", *table, *chosen)
    assert Dataset.load(tmp_path / "out").classes == ("anger, rage", "sad")
    order = 'sad,"anger, rage",joy,happy'
    sciu("data", "import", "csv", listed, "--out", tmp_path / "all", *table, "--classes", order)
    assert Dataset.load(tmp_path / "all").classes == ("sad", "anger, rage", "joy", "happy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rename", "joy"], "--rename must be of the form NAME=NAME, but is 'joy'"),
        (["--rename", "joy="], "--rename must be of the form NAME=NAME, but is 'joy='"),
        (["--rename", "joy=a", "--rename", "joy=b"], "--rename must be about different names"),
        (["--only", "joy,joy"], "--only must be different names"),
        (["--only", "jo\ny"], "--only must be names separated by commas"),
        (["--columns", "filename"], "--columns must be of the form NAME=NAME, but is 'filename'"),
    ],
)
def test_choices_of_an_import_that_make_no_sense(
    listed: Path, tmp_path: Path, sciu: Sciu, arguments: list[str], message: str
) -> None:
    answer = sciu("data", "import", "csv", listed, "--out", tmp_path / "out", "--delimiter", ";", *arguments)
    assert answer.code == 2
    assert message in answer.error()
    assert not (tmp_path / "out").exists()


HOSTILE = "\x1b[2J\nError: all is well\r"
ESCAPED = r"\x1b[2J\nError: all is well\r"


def test_names_cannot_write_lines_or_drive_the_terminal(tmp_path: Path, sciu: Sciu) -> None:
    source, out = tmp_path / f"src{HOSTILE}", tmp_path / f"out{HOSTILE}"
    write_clip(source / "train" / "happy" / "a.mp4", "h264")
    write_clip(source / "train" / HOSTILE / f"{HOSTILE}.mp4", "h264")
    (source / "train" / HOSTILE / f"bad{HOSTILE}.mp4").touch()
    answers = [
        sciu("data", "import", "folder", source, "--out", out),
        sciu("data", "check", out),
        sciu("data", "info", out),
        sciu("data", "pack", out, "--out", tmp_path / f"packed{HOSTILE}"),
        sciu("data", "info", tmp_path / f"nothing{HOSTILE}"),
        sciu("data", "import", "folder", source / "train", "--out", tmp_path / "other"),
    ]
    for answer in answers:
        assert ESCAPED in answer.out + answer.err
        assert not {"\x1b", "\r"} & {*answer.out, *answer.err}
        assert not [line for line in answer.out.splitlines() if line.startswith("Error: all is well")]
    assert [answer.code for answer in answers] == [0, 1, 0, 0, 3, 3]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "sciu.tools.data", *map(str, arguments)]


@pytest.mark.parametrize("verb", ["import", "synth", "pack", "check"])
def test_a_full_disk_leaves_nothing_that_looks_whole(faces: Dataset, copy: Path, tmp_path: Path, verb: str) -> None:
    """A limit on the size of files meets every write, as a full disk does."""
    source, out = tmp_path / "src", tmp_path / "out"
    write_clip(source / "train" / "happy" / "a.mp4", "h264")
    arguments = {
        "import": ["import", "folder", source, "--out", out],
        "synth": ["synth", out, "--clips", 14, "--frames", 4],
        "pack": ["pack", faces.folder, "--out", out, "--size", 32],
        "check": ["check", copy],
    }[verb]
    limited = f"ulimit -f 1; exec {' '.join(command(*arguments))}"
    before = (copy / "clips.parquet").read_bytes()
    done = subprocess.run(
        ["bash", "-c", limited],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert re.search(r"Error: '.*/(clips\.parquet|\d+\.(webm|mp4))': File too large", done.stderr)
    assert "Traceback" not in done.stderr
    assert not out.exists()
    assert (copy / "clips.parquet").read_bytes() == before
    left = [path for path in tmp_path.rglob(".*.partial") if "out.partial" not in path.parts]  # which is continued in
    assert not left


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_command_says_so_and_cleans_up(tmp_path: Path, how: signal.Signals, code: int) -> None:
    """The signal goes to the whole process group, as a terminal's Ctrl-C and a scheduler's scancel do."""
    synth = command("synth", tmp_path / "out", "--clips", 5000)
    process = subprocess.Popen(synth, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list((tmp_path / "out.partial" / "media").glob("*")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, how)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert error.strip().splitlines()[-1].startswith("Error: stopped by")
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["partial", "+0.1", "+0.3"])
def test_a_command_stopped_while_its_workers_start(tmp_path: Path, how: signal.Signals, moment: str) -> None:
    synth = command("synth", tmp_path / "out", "--clips", 5000)
    process = subprocess.Popen(synth, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (tmp_path / "out.partial").exists():
        time.sleep(0.002)
    time.sleep(float(moment) if moment.startswith("+") else 0.0)
    os.killpg(process.pid, how)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + how
    assert "Traceback" not in error


def test_a_clip_that_hangs_does_not_keep_a_stopped_command(tmp_path: Path) -> None:
    script = tmp_path / "hang.py"
    script.write_text(
        "import click, time\n"
        "from sciu.pipeline.dataset.system.workers import map_tasks\n"
        "from sciu.tools.command import Command\n"
        "def hang(task):\n    print('ready', flush=True)\n    time.sleep(10**6)\n"
        "@click.command(cls=Command)\n"
        "def main():\n    list(map_tasks(hang, range(2)))\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.wait(timeout=60) == 143
    process.stdout.close()


def test_two_at_once_on_one_folder(tmp_path: Path) -> None:
    first = subprocess.Popen(command("synth", tmp_path / "out", "--clips", 5000), stderr=subprocess.DEVNULL)
    while not list((tmp_path / "out.partial" / "media").glob("*")):
        time.sleep(0.02)
    second = subprocess.run(
        command("synth", tmp_path / "out", "--clips", 14), capture_output=True, text=True, check=False
    )
    first.terminate()
    first.wait()
    assert second.returncode == 3
    assert "is being written by another process" in second.stderr


def test_a_library_of_commands_answers_help_without_torch() -> None:
    code = "import sys, sciu.tools.data; print(sorted({'torch', 'nvidia.dali', 'torchvision'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_bug_of_ours_shows_its_traceback(faces: Dataset, monkeypatch: pytest.MonkeyPatch, sciu: Sciu) -> None:
    def bug(*_: object) -> None:
        raise ValueError("zip() argument 2 is shorter than argument 1")

    monkeypatch.setattr(summary, "summarise", bug)
    with pytest.raises(ValueError, match="zip"):
        sciu("data", "info", faces.folder)


def test_sigterm_inside_a_destructor_still_stops_the_command(tmp_path: Path) -> None:
    """Python prints and drops what is raised there."""
    script = tmp_path / "deaf.py"
    script.write_text(
        "import click, os, signal, time\n"
        "from sciu.tools.command import Command, Progress\n"
        "class Deaf:\n    def __del__(self):\n        os.kill(os.getpid(), signal.SIGTERM)\n        time.sleep(0.1)\n"
        "@click.command(cls=Command)\n"
        "def main():\n    Deaf()\n    print('went on')\n    Progress('work')(1, 2)\n    print('finished')\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (143, "went on\n")
