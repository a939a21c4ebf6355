"""Listing -> dataset: what a wrong column of labels looks like is refused or said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import make_dataset

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.build import listed_table
from sciu.pipeline.dataset.importers import ListedClip, Listing
from sciu.pipeline.dataset.splits.summary import cautions


def listing_of(labels: Sequence[str], root: Path) -> Listing:
    listing = Listing(name="listed", root=root)
    for number, label in enumerate(labels):
        listing.add(ListedClip(f"{number}.mp4", "video", label, f"clips.csv:{number}"), "train" if number else "test")
    return listing


def dataset_of(labels: Sequence[str], root: Path) -> Dataset:
    """A dataset of clips that nobody probed."""
    listing = listing_of(labels, root)
    clips = listed_table(listing.in_order(), listing.class_names(), folds=1)
    return Dataset(folder=root, name="listed", classes=tuple(listing.class_names()), root=".", clips=clips)


def test_a_class_for_every_clip_is_refused_before_any_work(tmp_path: Path) -> None:
    listing = listing_of([f"clip {number}" for number in range(32_768)], tmp_path)
    with pytest.raises(
        DatasetError, match=r"at most 32,767 classes, but 32,768 clips have 32,768 .*'clip 0'.*--columns"
    ):
        make_dataset(listing, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_as_many_classes_as_labels_can_number_keep_their_labels(tmp_path: Path) -> None:
    dataset = dataset_of([str(number) for number in range(32_767)], tmp_path)
    dataset.save()
    assert Dataset.load(tmp_path).labels.tolist() == list(range(32_767))
    more = replace(dataset, classes=(*dataset.classes, "one more"))
    more.save()
    with pytest.raises(DatasetError, match="`classes` in .* must be at most 32,767, but are 32,768"):
        Dataset.load(tmp_path)


@pytest.mark.parametrize(
    ("label", "clips", "said"),
    [
        (lambda clip: f"c{clip % 1000}", 2000, ["there are 1,000 classes, 0 of them with one clip: "]),
        (lambda clip: f"c{clip % 999}", 1998, []),
        (lambda clip: f"c{max(clip, 2)}", 5, ["there are 3 classes, 2 of them with one clip: "]),
        (lambda clip: f"c{min(clip, 2)}", 6, ["there are 3 classes, 2 of them with one clip: "]),
        (lambda clip: f"c{min(clip, 1)}", 6, []),
    ],
    ids=["1000 classes", "999 classes", "mostly single, from the end", "mostly single", "half of them single"],
)
def test_labels_that_may_be_of_another_column_are_said(
    tmp_path: Path, label: Callable[[int], str], clips: int, said: list[str]
) -> None:
    found = cautions(dataset_of([label(clip) for clip in range(clips)], tmp_path))
    assert [caution.partition("are the labels")[0] for caution in found] == said
