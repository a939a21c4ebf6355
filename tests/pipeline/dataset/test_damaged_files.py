"""Whatever a dataset's files and the lists of a source hold, they are read, or refused in a line of ours."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomli_w
from hypothesis import strategies as st
from mutated import contents, feed, values

from sciu.pipeline.dataset import Dataset, list_paths
from sciu.pipeline.dataset.importers import Listing, dfew, ferv39k, mafw, table_file
from sciu.pipeline.dataset.media.encode import encode_jpeg
from sciu.pipeline.dataset.media.packed import frames_of, pack_frames
from sciu.pipeline.dataset.media.probe import probe
from sciu.pipeline.dataset.pack.parts import same_settings
from sciu.pipeline.dataset.splits.summary import cautions, summarise

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXAMPLES = pytest.mark.parametrize("examples", [50, pytest.param(3_000, marks=pytest.mark.slow)])


@pytest.fixture
def copy(faces: Dataset, tmp_path: Path) -> Path:
    """A dataset to damage, without its media."""
    (tmp_path / "media").mkdir()
    for name in ("dataset.toml", "clips.parquet"):
        shutil.copy(faces.folder / name, tmp_path)
    return tmp_path


def use(folder: Path) -> None:
    """Load a dataset and look at all of it."""
    dataset = Dataset.load(folder)
    assert len(list_paths(dataset)) == len(dataset) == len(dataset.labels)
    assert set(dataset.labels.tolist()) <= set(range(len(dataset.classes)))
    assert summarise(dataset)["clips"] == len(dataset)
    assert all("\n" not in told for told in cautions(dataset))
    dataset.require_media()


def as_toml(content: dict[str, Any]) -> bytes:
    try:
        return tomli_w.dumps(content).encode()
    except (TypeError, ValueError):  # TOML has no null
        return b""


@EXAMPLES
@pytest.mark.parametrize("name", ["dataset.toml", ".dataset.toml.next"])
def test_cards(copy: Path, name: str, examples: int) -> None:
    card = (copy / "dataset.toml").read_bytes()
    if name != "dataset.toml":
        (copy / "dataset.toml").write_bytes(card.replace(b"fingerprint = ", b"fingerprint = 'another' #"))

    def read(content: bytes) -> None:
        (copy / name).write_bytes(content)
        use(copy)

    feed(examples, values(tomllib.loads(card.decode())).map(as_toml) | contents(card), read, whole=card)


@EXAMPLES
def test_tables(copy: Path, examples: int) -> None:
    """Those of an earlier version: the others have a checksum."""
    pq.write_table(pq.read_table(copy / "clips.parquet"), copy / "clips.parquet")
    table = (copy / "clips.parquet").read_bytes()

    def read(content: bytes) -> None:
        (copy / "clips.parquet").write_bytes(content)
        use(copy)

    feed(examples, contents(table), read, whole=table)


COLUMNS = [
    *(pa.array([7, 0, 5, 5], kind) for kind in (pa.int8(), pa.int32(), pa.uint32(), pa.int64(), pa.float64())),
    *(pa.array(["", "\0", "../x", "\n\x1b[2J"], kind) for kind in (pa.string(), pa.large_string(), pa.binary())),
    *(pa.array([1, None, -1, 2**31 - 1], kind) for kind in (pa.int32(), pa.int64())),
    *(pa.nulls(4, kind) for kind in (pa.null(), pa.int32(), pa.string())),
    pa.array([True, False, None, True]),
    pa.array([["train"], [], None, ["test"]]),
    pa.array([{"train": 1}] * 4),
    pa.DictionaryArray.from_arrays(pa.array([0, 1, 1, None], pa.uint8()), ["video", "train"]),
    pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 2], pa.uint16()), ["happy", "happy", "sad"]),
]


@EXAMPLES
def test_tables_of_other_tools(copy: Path, examples: int) -> None:
    """Columns of other types, with other values, twice, or not there; with the fingerprint that belongs to them."""
    table = pq.read_table(copy / "clips.parquet").slice(0, 4)
    manifest = {**tomllib.loads((copy / "dataset.toml").read_text()), "clips": 4}

    def read(changes: list[tuple[str, Any]]) -> None:
        changed = table
        for name, column in changes:
            place = changed.column_names.index(name) if name in changed.column_names else 0
            if column is None:
                changed = changed.remove_column(place)
            elif isinstance(column, str):
                changed = changed.append_column(column, changed[place])
            else:
                changed = changed.set_column(place, name, column)
        pq.write_table(changed, copy / "clips.parquet")
        (copy / "dataset.toml").write_bytes(Dataset._read(copy, manifest).manifest())
        use(copy)

    names = st.sampled_from(table.column_names)
    changes = st.lists(st.tuples(names, st.sampled_from([*COLUMNS, None]) | names), min_size=1, max_size=2)
    feed(examples, changes, read, whole=[])


# ---- lists of sources


def in_tree(root: Path, path: str, read: Callable[[Path], Listing]) -> Callable[[bytes], None]:
    def write_and_read(content: bytes) -> None:
        (root / path).write_bytes(content)
        listing = read(root)
        assert all(clip.label in listing.class_names() for clip in listing.in_order())

    (root / path).parent.mkdir(parents=True, exist_ok=True)
    return write_and_read


@EXAMPLES
@pytest.mark.parametrize("columns", [{}, {"path": "file", "label": "class"}])
def test_lists_of_ones_own(tmp_path: Path, columns: dict[str, str], examples: int) -> None:
    header = "file,class,split,group" if columns else "path,label,split,group"
    text = f'{header}\na.mp4,happy,train,p1\n"b, ""c"".mp4",sad,test,\nframes,"sad|happy",val,p2\n'

    def read(root: Path) -> Listing:
        return table_file.read(root / "clips.csv", columns=columns)

    feed(examples, contents(text.encode()), in_tree(tmp_path, "clips.csv", read), whole=text.encode())


@EXAMPLES
def test_lists_of_dfew(tmp_path: Path, examples: int) -> None:
    (tmp_path / "Clip/clip_224x224/00001").mkdir(parents=True)
    text = b"video_name,label\n1,1\n00002.mp4,7\n3,2\n"
    read = in_tree(tmp_path, "EmoLabel_DataSplit/train(single-labeled)/set_1.csv", dfew.read)
    feed(examples, contents(text), read, whole=text)


@EXAMPLES
def test_lists_of_ferv39k(tmp_path: Path, examples: int) -> None:
    (tmp_path / "2_ClipsforFaceCrop").mkdir()
    (tmp_path / "4_setups/All_scenes").mkdir(parents=True)
    (tmp_path / "4_setups/All_scenes/test_All.csv").write_text("Action/Happy/0003 Happy\n")
    text = b"path,id\nAction/Happy/0001 Happy\nAction/Sad/0002,5\n"
    read = in_tree(tmp_path, "4_setups/All_scenes/train_All.csv", ferv39k.read)
    feed(examples, contents(text), read, whole=text)


@EXAMPLES
@pytest.mark.parametrize(("captions", "encoding"), [("no_caption", "utf-8"), ("with_caption", "gb18030")])
def test_lists_of_mafw(tmp_path: Path, captions: str, encoding: str, examples: int) -> None:
    (tmp_path / "data/frames").mkdir(parents=True)
    folder = f"Train & Test Set/compound/{captions}"
    for fold in range(1, 6):
        for split in ("train", "test"):
            path = tmp_path / folder / f"set_{fold}" / f"{split}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("00004.mp4 fear\n" if split == "test" else "")
    text = "00001.mp4\tanger_disgust\tHe is angry.\t他很生气。\r\n00002.mp4 fear\r\n".encode(encoding)

    def read(root: Path) -> Listing:
        return mafw.read(root, labels="compound")

    feed(examples, contents(text), in_tree(tmp_path, f"{folder}/set_1/train.txt", read), whole=text)


# ---- packed clips, and what continues an interrupted `pack`


@EXAMPLES
def test_packed_clips(tmp_path: Path, examples: int) -> None:
    path, packed = tmp_path / "clip.zip", pack_frames([encode_jpeg(np.zeros((16, 16, 3), np.uint8))] * 3)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        for depth in ("count", "decode"):
            found = probe(str(path), "frames", depth)
            assert found.fault or found.frames
            assert "\n" not in str(found.fault)
        assert frames_of(content) is not None

    feed(examples, contents(packed), read, whole=packed)


@EXAMPLES
def test_settings_of_an_interrupted_pack(tmp_path: Path, examples: int) -> None:
    path, saved = tmp_path / "pack.json", {"source": "ab12", "media": "/data", "size": 128, "codec": "mjpeg"}

    def read(content: bytes) -> None:
        path.write_bytes(content)
        same_settings(path.parent, {**saved})

    whole = json.dumps(saved).encode()
    text = values(saved).map(lambda content: json.dumps(content).encode())
    feed(examples, text | contents(whole), read, whole=whole)
