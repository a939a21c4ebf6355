"""`sciu-report` tells all that a run decided, of any run, whatever is missing, and shows names as they are."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from helpers import Answer
from invented_run import EPOCHS, NASTY, invented_run
from noisy_clips import CLIPS, NAMES
from shared import copy_of
from training import COMPATIBILITY

from sciu.pipeline.dataset import Dataset
from sciu.purification import Purifier
from sciu.purification.care.explain import reason
from sciu.tools import report
from sciu.tools.report import content
from sciu.tools.report.reading import names_of

Sciu = Callable[..., Answer]


class Page(HTMLParser):
    """A page as a browser takes it: its elements, its text, its scripts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.said = ""
        self.feed(path.read_text())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        """Note text."""
        if self.cdata_elem == "script":
            self.scripts[-1] += data
        elif self.cdata_elem is None:
            self.said += f"{data} "

    @property
    def data(self) -> Any:
        """What the page's script draws."""
        return json.loads(self.scripts[0])

    @property
    def text(self) -> str:
        """What is said, with single spaces."""
        return " ".join(self.said.split())


KINDS = ("pruned", "corrected")


def reported(sciu: Sciu, *arguments: object) -> Page:
    answer = sciu("report", *arguments, "--json")
    assert answer.code == 0, answer.err
    return Page(Path(answer.json["report"]))


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return invented_run(tmp_path_factory.mktemp("invented") / "run")


# ---- what is told


def test_every_decision_is_on_the_page_with_its_history(sciu: Sciu, invented: Path, tmp_path: Path) -> None:
    page = reported(sciu, invented, "--out", tmp_path / "page.html", "--replace")
    (run,) = page.data["runs"]
    with Purifier.open(invented / "purifier", read_only=True) as purifier:
        for k, clip in enumerate(run["clip"]):
            told = [
                [entry.event.epoch, entry.event.time, reason(purifier, entry.event, entry.row)]
                for entry in purifier.history(clip)
            ]
            assert run["history"][k] == told
    listed = {kind: sciu("purify", "list", invented, "--what", kind, "--limit", 999, "--json") for kind in KINDS}
    for kind, answer in listed.items():
        rows = {row["clip"]: row for row in answer.json["clips"]}
        assert rows
        assert {clip for clip, each in zip(run["clip"], run["kind"], strict=True) if each == kind} == rows.keys()
        for k, clip in enumerate(run["clip"]):
            if clip in rows:
                assert run["folder"] + run["path"][k] == rows[clip]["path"]
                assert [NAMES[run[name][k]] for name in ("given", "label")] == [
                    rows[clip]["given"],
                    rows[clip]["label"],
                ]
                assert [column[k] for column in run["values"]] == [rows[clip][name] for name in run["grounds"]]


def test_the_sections_are_there_and_say_the_numbers(sciu: Sciu, invented: Path, tmp_path: Path) -> None:
    page = reported(sciu, invented, "--out", tmp_path / "page.html", "--replace")
    status = sciu("purify", "status", invented, "--json").json
    for said in (
        f"Epochs {EPOCHS} of {EPOCHS}", f"Pruned {status['pruned']}", f"of {CLIPS}", "Over the epochs",
        "Epoch 1, test: WAR", f"Epoch {EPOCHS}, test: WAR", "Who loses clips",
        "low quality precision 50.0%", "broken 3", "sciu-train faces --out run", "--config", "correct_above",
    ):  # fmt: skip
        assert said in page.text
    titles = [chart["layout"]["xaxis"].get("title") for chart in page.data["charts"].values()]
    assert [title["text"] for title in titles if title][-3:] == ["weight", "score", "margin"]
    notes = [note for chart in page.data["charts"].values() for note in chart["layout"].get("annotations", ())]
    assert [note["text"] for note in notes] == ["prune below 0.500", "correct above 0.200"]
    loss = [chart["traces"][0]["x"] for chart in page.data["charts"].values()][2]
    assert loss == [1, 3, 4, 5]  # that of the second epoch is not a number


def test_the_thresholds_of_auto_are_those_of_its_own_grounds(sciu: Sciu, written: Path, tmp_path: Path) -> None:
    page = reported(sciu, written / "auto-end", "--out", tmp_path / "page.html", "--replace")
    assert all(name in page.text for name in ("Information", "Posterior"))
    assert "Score" not in page.text


def test_guards_pins_and_quarantine_are_told(sciu: Sciu, tmp_path: Path) -> None:
    run = invented_run(tmp_path / "run")
    sciu("purify", "pin", run, 3, "--label", NAMES[0], "--who", "anna", "--why", "seen it")
    sciu("purify", "quarantine", run, 4, "--who", "ben", "--why", "green")
    text = reported(sciu, run).text
    assert f"{EPOCHS + 1} pin: label 1 anna seen it" in text
    assert f"{EPOCHS + 1} quarantine 1 ben green" in text


def test_what_people_decided_against_the_policy_is_shown_clip_by_clip(sciu: Sciu, tmp_path: Path) -> None:
    """A correction that people rejected was in no gallery."""
    run = invented_run(tmp_path / "run")
    listed = {kind: sciu("purify", "list", run, "--what", kind, "--json").json["clips"] for kind in KINDS}
    rejected, again, undone, freed, retracted = listed["corrected"][:5]
    given, proposed = rejected["given"], f"corrected to {rejected['label']}"
    third = next(name for name in NAMES if name not in (again["given"], again["label"]))
    dropped = listed["pruned"][0]
    sciu("purify", "pin", run, rejected["clip"], "--label", given, "--who", "anna", "--why", "seen it")
    sciu("purify", "pin", run, again["clip"], "--keep", "--who", "anna")
    sciu("purify", "pin", run, again["clip"], "--label", third, "--who", "ben")
    sciu("purify", "undo", run, undone["clip"], "--who", "ben")
    sciu("purify", "pin", run, freed["clip"], "--keep", "--who", "anna")
    sciu("purify", "pin", run, freed["clip"], "--free", "--who", "anna")
    sciu("purify", "pin", run, retracted["clip"], "--keep", "--who", "anna")
    sciu("purify", "undo", run, retracted["clip"], "--who", "anna")
    sciu("purify", "pin", run, dropped["clip"], "--drop", "--who", "cara")
    page = reported(sciu, run)
    (shown,) = page.data["runs"]
    people = {shown["clip"][k]: each for k, each in enumerate(shown["people"]) if shown["kind"][k] == "people"}
    told = {clip: (who, policy, decided) for clip, (who, _, policy, decided) in people.items()}
    assert told == {
        rejected["clip"]: ("anna", proposed, f"label {given}"),
        again["clip"]: ("ben", f"corrected to {again['label']}", f"label {third}"),
        undone["clip"]: ("ben", f"corrected to {undone['label']}", "undo"),
        dropped["clip"]: ("cara", "pruned", "drop"),
    }
    kinds = zip(shown["kind"], shown["clip"], strict=True)
    at = [*kinds].index(("people", rejected["clip"]))
    assert [what for _, _, what in shown["history"][at]][-1] == f"pinned: is {given} by anna: seen it"
    assert "By people 4 decided" in page.text
    assert "and 4 of 4 that people decided about (pinned, or undid what the policy did), 0 of them with" in page.text
    assert sum(clip == dropped["clip"] for clip in shown["clip"]) == 2  # in both galleries
    assert sciu("report", run, "--replace", "--json").json["runs"][0]["decided_by_people"] == 4


def test_several_runs_are_compared_with_the_plain_one(sciu: Sciu, invented: Path, tmp_path: Path) -> None:
    plain = invented_run(tmp_path / "other" / "run", method="plain", epochs=4)
    answer = sciu("report", invented, plain, "--out", tmp_path / "page.html", "--replace", "--json").json
    assert [each["run"] for each in answer["runs"]] == [str(invented), str(plain)]
    page = Page(tmp_path / "page.html")
    names = names_of([invented, plain])
    assert names == [f"{invented.parent.name}/run", "other/run"]
    assert "+4.0" in page.text  # 20 of 50 right after five epochs, 18 of 50 after four
    assert f"{names[0]} differs also in: epochs {EPOCHS} / 4." in page.text
    gains = [attributes["class"] for _, attributes in page.tags if "gain" in (attributes.get("class") or "")]
    assert [str(gain).split() for gain in gains] == [["gain"]] * 2  # no colour
    assert [trace["name"] for trace in page.data["charts"]["chart-0"]["traces"]] == names
    assert [attributes["data-run"] for tag, attributes in page.tags if attributes.get("class") == "run"] == ["0", "1"]


# ---- previews


def test_decided_clips_move(sciu: Sciu, finished_run: Path, tmp_path: Path) -> None:
    answer = sciu("report", finished_run, "--out", tmp_path / "page.html", "--replace", "--json").json
    (told,) = answer["runs"]
    assert told["previews"] == told["clips_shown"] == told["pruned"] + told["corrected"] > 0
    for preview in Page(tmp_path / "page.html").data["runs"][0]["preview"]:
        assert base64.b64decode(preview).startswith(b"RIFF")


def test_a_few_previews_are_spread_over_the_pairs_of_classes(sciu: Sciu, finished_run: Path, tmp_path: Path) -> None:
    page = reported(sciu, finished_run, "--out", tmp_path / "page.html", "--previews", 3)
    (run,) = page.data["runs"]
    shown = [k for k, preview in enumerate(run["preview"]) if preview]
    assert len({(run["kind"][k], run["given"][k], run["label"][k]) for k in shown}) == len(shown) == 3
    assert "3 of them with a preview" in page.text


def test_lost_media_cost_their_previews(sciu: Sciu, finished_run: Path, frame_faces: Dataset, tmp_path: Path) -> None:
    data = Path(shutil.copytree(frame_faces.folder, tmp_path / "faces"))
    whole = reported(sciu, finished_run, "--data", data, "--out", tmp_path / "page.html", "--replace").data["runs"][0]
    lost = data / "media" / Dataset.load(data).clips.path[whole["clip"][0]]
    shutil.rmtree(lost)
    (run,) = reported(sciu, finished_run, "--data", data, "--out", tmp_path / "page.html", "--replace").data["runs"]
    assert run["preview"] == [None, *whole["preview"][1:]]
    shutil.rmtree(data / "media")
    (run,) = reported(sciu, finished_run, "--data", data, "--out", tmp_path / "page.html", "--replace").data["runs"]
    assert not any(run["preview"])
    assert run["clip"] == whole["clip"]


def test_budgets_are_kept_and_what_is_left_out_is_said(
    sciu: Sciu, finished_run: Path, invented: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_PREVIEWS", 20_000)
    told = sciu("report", finished_run, "--out", tmp_path / "page.html", "--replace", "--json").json["runs"][0]
    assert 0 < told["previews"] < told["clips_shown"]
    monkeypatch.setattr(report, "_TEXT", 2_000)
    page = reported(sciu, invented, "--out", tmp_path / "page.html", "--replace")
    counts = sciu("purify", "status", invented, "--json").json
    shown = [page.data["runs"][0]["kind"].count(kind) for kind in KINDS]
    assert 0 < sum(shown) < counts["pruned"] + counts["corrected"]
    assert f"{shown[0]} of {counts['pruned']} pruned and {shown[1]} of {counts['corrected']} corrected" in page.text


def test_long_tables_are_cut_and_say_so(
    sciu: Sciu, invented: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = sciu("purify", "health", invented, "--json").json["pairs"]
    assert len(pairs) > 1
    monkeypatch.setattr(content, "_MOST_ROWS", 1)
    monkeypatch.setattr(content, "_MOST_CLASSES", 2)
    page = reported(sciu, invented, "--out", tmp_path / "page.html", "--replace")
    assert f"1 of {len(pairs)} are shown, the most frequent ones." in page.text
    assert "Confusion" not in page.text


# ---- names


def test_every_name_is_shown_and_never_run(sciu: Sciu, tmp_path: Path) -> None:
    paths = ["".join(f"{NASTY[clip % 3]}/{clip}".split()) for clip in range(CLIPS)]  # lists are split at white space
    run = invented_run(tmp_path / "a <img src=x onerror=alert(1)>", names=NASTY, paths=paths)
    sciu("purify", "pin", run, 3, "--keep", "--who", NASTY[0], "--why", NASTY[1])
    page = reported(sciu, run)
    assert not [tag for tag, _ in page.tags if tag == "img"]
    data, *scripts = page.scripts
    assert len(scripts) == 2
    assert page.data["runs"][0]["classes"] == [*NASTY]
    assert not re.search("[<>&\u2028\u2029]", data)
    for name in (NASTY[0], NASTY[1], run.name):
        assert " ".join(name.split()) in page.text
    for chart in page.data["charts"].values():
        shown = [
            name for trace in chart["traces"] for name in (trace.get("name"), *trace["x"]) if isinstance(name, str)
        ]
        assert not [name for name in shown if "<" in name]
    raw = (run / "report.html").read_text()
    assert html.escape(NASTY[0]) in raw


def test_a_browser_may_run_our_scripts_only_and_fetch_nothing(sciu: Sciu, invented: Path, tmp_path: Path) -> None:
    page = reported(sciu, invented, "--out", tmp_path / "page.html", "--replace")
    (policy,) = [each["content"] for _, each in page.tags if each.get("http-equiv") == "Content-Security-Policy"]
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts[1:]]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    assert policy == f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"
    assert not [each for _, each in page.tags if "src" in each or "href" in each]


# ---- runs that lack something


def test_a_run_that_decided_nothing(sciu: Sciu, tmp_path: Path) -> None:
    page = reported(sciu, invented_run(tmp_path / "run", epochs=2))
    assert "No clip is pruned or corrected." in page.text
    assert f"The run is not finished: 2 of {EPOCHS} epochs have ended." in page.text


def test_a_run_without_an_epoch(sciu: Sciu, tmp_path: Path) -> None:
    run = invented_run(tmp_path / "run", epochs=0)
    page = reported(sciu, run)
    assert "No epoch has ended yet" in page.text
    assert page.data["charts"] == {}
    assert "+" not in reported(sciu, run, invented_run(tmp_path / "plain", method="plain")).text.split("Over the")[0]


def test_a_run_whose_dataset_is_gone(sciu: Sciu, finished_run: Path, frame_faces: Dataset, tmp_path: Path) -> None:
    run = copy_of(finished_run, tmp_path / "run")
    card = (run / "run.json").read_text()
    (run / "run.json").write_text(card.replace(str(frame_faces.folder), "/gone/faces"))
    answer = sciu("report", run)
    assert answer.code == 0
    assert "0 with a preview" in answer.out
    assert "The dataset was not found in '/gone/faces'" in Page(run / "report.html").text
    told = sciu("report", run, "--data", frame_faces.folder, "--json").json["runs"][0]
    assert told["previews"] == told["clips_shown"] > 0


@pytest.fixture(scope="module", params=sorted(COMPATIBILITY.glob("*.tar.xz")), ids=lambda path: path.name)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an earlier version wrote."""
    folder = tmp_path_factory.mktemp("written")
    with tarfile.open(request.param) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("run", ["sciu", "sciu-end", "auto", "auto-end"])
def test_runs_of_an_earlier_version(
    sciu: Sciu, written: Path, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(written)
    page = reported(sciu, run, "--out", tmp_path / "page.html", "--replace", "--data", "faces")
    assert ("is not finished" in page.text) == (not run.endswith("end"))


# ---- refusals


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["{tmp}/nothing"], 3, "must be a run, but does not exist"),
        (["{run}", "{run}/"], 2, "RUN must be different runs"),
        (["{run}", "--out", "{tmp}"], 2, "--out must be a new file"),
        (["{run}", "--out", "{tmp}/no/page.html"], 2, "--out must be in a folder that exists"),
        (["{run}", "--data", "{data}"], 2, "has other clips, labels or folds"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(
    sciu: Sciu, invented: Path, frame_faces: Dataset, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    places = {"tmp": tmp_path, "run": invented, "data": frame_faces.folder}
    answer = sciu("report", *(each.format(**places) for each in arguments))
    assert answer.code == code
    assert said in answer.error()


def test_a_run_that_cannot_be_written_is_refused_before_the_work(
    sciu: Sciu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All the work was done first, and the message then was to free the disk."""
    run = invented_run(tmp_path / "run")
    (run / "log.jsonl").write_text("reading it would fail")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    answer = sciu("report", run)
    assert answer.code == 2
    assert f"in a folder that can be written, but '{run}' cannot" in answer.error()
    assert "--out FILE" in answer.error()
    monkeypatch.undo()
    assert "is damaged" in sciu("report", run, "--out", tmp_path / "page.html").error()


def test_a_damaged_log_is_one_line(sciu: Sciu, tmp_path: Path) -> None:
    run = invented_run(tmp_path / "run")
    (run / "log.jsonl").write_text('{"epoch": 1')
    answer = sciu("report", run)
    assert (answer.code, "is damaged" in answer.error()) == (3, True)
    assert not (run / "report.html").exists()
