"""MAFW: names in the official order, CRLF, GBK captions, five folds, single and compound."""

from __future__ import annotations

from pathlib import Path

import pytest
from archives import MAFW_COMPOUND as COMPOUND
from archives import MAFW_SINGLE as SINGLE
from archives import write_mafw as write_tree
from helpers import make_dataset

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.importers import mafw


def load(source: Path, media: str = "frames", labels: str = "single") -> Dataset:
    listing = mafw.read(source, media=media, labels=labels)
    return make_dataset(listing, source.with_name("out"))


@pytest.mark.parametrize("captions", [False, True])
def test_single_labels(tmp_path: Path, captions: bool) -> None:
    dataset = load(write_tree(tmp_path / "MAFW", captions=captions))
    assert dataset.classes == mafw.CLASSES
    assert [dataset.clips.label[clip] for clip in range(6)] == list(SINGLE.values())
    assert dataset.clips.codec.names == ("png",)
    assert set(dataset.clips.frames) == {4}
    assert [dataset.ids("test", fold).tolist() for fold in range(1, 6)] == [[0], [1], [2], [3], [4]]


def test_compound_labels_single_ones_first(tmp_path: Path) -> None:
    dataset = load(write_tree(tmp_path / "MAFW"), "clips", "compound")
    assert dataset.kind == "video"
    assert dataset.classes == ("anger", "neutral", "surprise", "anger_disgust", "sadness_helplessness_disappointment")
    assert [dataset.clips.label[clip] for clip in range(6)] == list({**SINGLE, **COMPOUND}.values())


def test_a_compound_has_one_name_whatever_the_order(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "MAFW")
    path = source / "Train & Test Set/compound/no_caption/set_1/train.txt"
    path.write_text(path.read_text().replace("anger_disgust", "disgust_anger"))
    assert "anger_disgust" in mafw.read(source, labels="compound").classes
    assert "disgust_anger" not in mafw.read(source, labels="compound").classes


def test_a_compound_among_single_labels_is_told(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "MAFW")
    (source / "Train & Test Set/single/no_caption/set_2/train.txt").write_text("00001.mp4 anger_fear\n")
    with pytest.raises(DatasetError, match=r"set_2/train.txt:1: label must be one of .*, but is 'anger_fear'"):
        mafw.read(source)


def test_a_missing_fold_is_told(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "MAFW")
    (source / "Train & Test Set/single/no_caption/set_4/test.txt").unlink()
    with pytest.raises(DatasetError, match=r"set_4/test.txt' is missing"):
        mafw.read(source)


def test_wrong_encoding_is_told_with_the_remedy(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "MAFW")
    path = source / "Train & Test Set/single/no_caption/set_1/train.txt"
    path.write_bytes("00001.mp4 愤怒\r\n".encode("gbk"))
    with pytest.raises(DatasetError, match=r"is not UTF-8 text \(byte 10\)\. Convert it to UTF-8: iconv"):
        mafw.read(source)


def test_an_unknown_emotion_is_told(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "MAFW")
    (source / "Train & Test Set/single/no_caption/set_1/train.txt").write_text("00001.mp4 anger_bored\n")
    with pytest.raises(DatasetError, match="set_1/train.txt:1: a row must be .*, but is '00001.mp4 anger_bored'"):
        mafw.read(source)
