"""The clip table is read back as it was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciu.pipeline.dataset import DatasetError
from sciu.pipeline.dataset.table import KINDS, SPLITS, Categories, ClipTable, Texts, read_table, write_table

CLASSES = ("happy", "sad", "neutral")
rows = st.tuples(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.sampled_from(KINDS),
    st.sampled_from(CLASSES),
    st.sampled_from([*SPLITS, None]),
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    st.integers(0, 2**31 - 1),
)


def table_of(clips: list[tuple[str, str, str, str | None, str | None, int]]) -> ClipTable:
    path, kind, label, split, note, number = zip(*clips, strict=True)
    numbers = np.array(number, np.int32)
    return ClipTable(
        name=list(path), path=list(path), kind=Categories.of(kind, KINDS), frames=numbers,
        width=numbers, height=numbers, codec=Categories.of(note),
        label=Categories.of(label, CLASSES), folds=(Categories.of(split, SPLITS),) * 2,
        group=Categories.of(note), quarantine=Categories.of(note),
    )  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(clips=st.lists(rows, min_size=1, max_size=20))
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, clips: list[tuple[str, str, str, str | None, str | None, int]]
) -> None:
    path = tmp_path_factory.mktemp("table") / "clips.parquet"
    write_table(table_of(clips), path)
    table = read_table(path, classes=CLASSES, folds=2)
    assert table.path == table.name == [clip[0] for clip in clips]
    for clip, (_, kind, label, split, note, number) in enumerate(clips):
        assert (table.kind[clip], table.label[clip], table.folds[1][clip]) == (kind, label, split)
        assert (table.codec[clip], table.group[clip], table.quarantine[clip], table.frames[clip]) == (
            note,
            note,
            note,
            number,
        )
    assert np.array_equal(table.label.codes, [CLASSES.index(clip[2]) for clip in clips])


def test_classes_in_another_order_recode_the_labels(tmp_path: Path) -> None:
    write_table(
        table_of([("a", "video", "happy", "train", None, 1), ("b", "video", "sad", "train", None, 1)]), tmp_path / "t"
    )
    table = read_table(tmp_path / "t", classes=("sad", "neutral", "happy"), folds=2)
    assert table.label.codes.tolist() == [2, 0]


def test_an_unknown_class_is_refused(tmp_path: Path) -> None:
    write_table(table_of([("a", "video", "happy", "train", None, 1)]), tmp_path / "t")
    with pytest.raises(DatasetError, match="label in .* must be one of .*, but is 'happy'"):
        read_table(tmp_path / "t", classes=("sad", "neutral"), folds=2)


@pytest.mark.parametrize("content", [b"", b"junk", b"PAR1 junk PAR1"])
def test_a_damaged_table_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(DatasetError, match=r"cannot be read.*Import the dataset again"):
        read_table(tmp_path / "t", classes=CLASSES, folds=1)


# ---- damage


MANY = table_of([(f"{clip}.mp4", "video", CLASSES[clip % 3], SPLITS[clip % 2], None, clip) for clip in range(20)])


def columns_of(table: ClipTable) -> list[object]:
    numbers = [table.frames.tolist(), table.width.tolist(), table.height.tolist()]
    names = (table.kind, table.codec, table.label, *table.folds, table.group, table.quarantine)
    return [table.name, table.path, *numbers, *([column[clip] for clip in range(len(table))] for column in names)]


def flips(content: bytes, step: int) -> Iterator[bytes]:
    """The content with one bit flipped: every `step`th of its bits in turn."""
    for bit in range(0, 8 * len(content), step):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)


def without_checksum(content: bytes) -> bytes:
    """The table as an earlier version wrote it."""
    at = content.index(b"\xffSHA-256 of the rest:\xff")
    return content[:at] + content[at + 22 + 32 :]


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_flipped_bit_is_refused_or_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    path = tmp_path / "t"
    write_table(MANY, path)
    outcomes = {"refused": 0, "read": 0}
    for damaged in flips(path.read_bytes(), step):
        monkeypatch.setattr(
            Path, "read_bytes", lambda _, damaged=damaged: damaged
        )  # no disk writes 30,000 files a second
        try:
            table = read_table(path, classes=CLASSES, folds=2)
        except DatasetError:
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1  # the flip is in the words that announce the checksum
            assert columns_of(table) == columns_of(MANY)
    assert outcomes["refused"] > 100 * outcomes["read"] > 0


def test_a_table_that_was_half_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_table(MANY, path)
    content = path.read_bytes()
    for end in range(0, len(content), 13):
        path.write_bytes(content[:end])
        with pytest.raises(DatasetError, match="cannot be read|is damaged"):
            read_table(path, classes=CLASSES, folds=2)


def test_a_table_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_table(MANY, path)
    path.write_bytes(without_checksum(path.read_bytes()))
    assert columns_of(read_table(path, classes=CLASSES, folds=2)) == columns_of(MANY)


@pytest.mark.parametrize("step", [53, pytest.param(1, marks=pytest.mark.slow)])
def test_damage_to_a_table_of_an_earlier_version_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    path = tmp_path / "t"
    write_table(MANY, path)
    for damaged in flips(without_checksum(path.read_bytes()), step):
        monkeypatch.setattr(Path, "read_bytes", lambda _, damaged=damaged: damaged)
        with suppress(DatasetError):
            read_table(path, classes=CLASSES, folds=2)


def test_other_tools_read_the_table_and_may_rewrite_it(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_table(MANY, path)
    pq.write_table(pq.read_table(path), path)
    assert columns_of(read_table(path, classes=CLASSES, folds=2)) == columns_of(MANY)


# ---- columns


def test_counts() -> None:
    column = Categories.of(["b", None, "a", "b"])
    assert column.counts() == {"a": 1, "b": 2}
    assert column.counts(np.array([True, True, False, False])) == {"a": 0, "b": 1}
    assert column.where("b").tolist() == [True, False, False, True]
    assert not column.where("c").any()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("label", pa.array([None], pa.string()), "label .* must be set for every clip"),
        ("frames", pa.array([None], pa.int32()), "frames .* must be set for every clip"),
        ("frames", pa.array([2**40], pa.int64()), "frames .* must be of type int32, but is int64"),
        ("frames", pa.array([-1], pa.int32()), "frames .* must be at least 0, but is -1"),
        ("path", pa.array([7], pa.int32()), "path .* must be of type string"),
        ("group", pa.array([7], pa.int32()), "group .* must be of type string"),
        ("id", pa.array([1], pa.int32()), "clip ids .* must be 0, 1, 2"),
    ],
)
def test_an_edited_table_is_refused(tmp_path: Path, column: str, values: pa.Array, message: str) -> None:
    path = tmp_path / "t"
    write_table(table_of([("a", "video", "happy", "train", None, 1)]), path)
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index(column), column, values), path)
    with pytest.raises(DatasetError, match=message):
        read_table(path, classes=CLASSES, folds=2)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=9), st.integers(-12, 12), st.data())
def test_texts_are_like_a_list(values: list[str], place: int, data: st.DataObject) -> None:
    texts = Texts(pa.chunked_array([values[:3], values[3:]], pa.string()))
    assert texts == values
    assert (len(texts), [*texts]) == (len(values), values)
    assert texts != [*values, ""]
    cut = data.draw(st.slices(9))
    assert texts[cut] == values[cut]
    if -len(values) <= place < len(values):
        assert texts[place] == texts[np.int64(place)] == values[place]
    else:
        with pytest.raises(IndexError):
            texts[place]


def test_names_that_are_the_paths_are_in_memory_once(tmp_path: Path) -> None:
    write_table(MANY, tmp_path / "clips.parquet")
    table = read_table(tmp_path / "clips.parquet", classes=CLASSES, folds=2)
    assert table.name is table.path
    write_table(table.replace(path=[*table.path[1:], "other.mp4"]), tmp_path / "clips.parquet")
    table = read_table(tmp_path / "clips.parquet", classes=CLASSES, folds=2)
    assert table.name == MANY.name
    assert table.path == [*MANY.name[1:], "other.mp4"]
