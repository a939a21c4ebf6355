"""Classes renamed, merged and left out; everything else of a listing stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.dataset.importers import ListedClip, Listing, Published
from sciu.pipeline.dataset.importers.classes import choose_classes
from sciu.pipeline.errors import SettingError

LABELS = ["joy", "sad", "happy", "joy", "anger, rage"]


def listing_of(labels: list[str], classes: tuple[str, ...] = ()) -> Listing:
    listing = Listing(
        name="listed", root=Path("/media"), classes=classes, published=Published(totals={(1, "train"): len(labels)})
    )
    for number, label in enumerate(labels):
        listing.add(ListedClip(f"{number}.mp4", "video", label, f"clips.csv:{number}", group="g"), "train")
    return listing


def labels_of(listing: Listing) -> dict[str, str]:
    return {path: clip.label for path, clip in listing.clips.items()}


def test_two_names_become_one() -> None:
    found = choose_classes(listing_of(LABELS), rename={"joy": "happy"}, only=[])
    assert list(labels_of(found).values()) == ["happy", "sad", "happy", "happy", "anger, rage"]
    assert found.class_names() == ["anger, rage", "happy", "sad"]
    assert found.notes == ["class 'joy' was renamed to 'happy': 2 clips"]
    assert found.published is None


def test_two_names_are_exchanged() -> None:
    found = choose_classes(listing_of(["a", "b"]), rename={"a": "b", "b": "a"}, only=[])
    assert labels_of(found) == {"0.mp4": "b", "1.mp4": "a"}


def test_other_classes_are_left_out_and_told() -> None:
    found = choose_classes(listing_of(LABELS), rename={"joy": "happy"}, only=["happy", "anger, rage"])
    assert list(labels_of(found)) == ["0.mp4", "2.mp4", "3.mp4", "4.mp4"]
    assert found.class_names() == ["anger, rage", "happy"]
    assert found.notes[1] == "1 clips of other classes were left out: sad"


def test_the_order_of_a_source_stays() -> None:
    official = ("happy", "sad", "joy", "anger, rage")
    found = choose_classes(listing_of(LABELS, official), rename={"joy": "sad", "happy": "zest"}, only=[])
    assert found.class_names() == ["zest", "sad", "anger, rage"]
    assert choose_classes(listing_of(LABELS, official), rename={}, only=["joy", "happy"]).class_names() == [
        "happy", "joy"
    ]  # fmt: skip


def test_nothing_asked_is_nothing_changed() -> None:
    listing = listing_of(LABELS)
    assert choose_classes(listing, rename={}, only=[]) is listing


@pytest.mark.parametrize(
    ("rename", "only", "message"),
    [
        ({"jo": "happy"}, [], "--rename must name classes .*, but one is 'jo'. Did you mean 'joy'?"),
        ({}, ["happy", "angry"], "--only must name classes .*, but one is 'angry'"),
        ({"joy": "glad"}, ["joy"], "--only must name classes .*, but one is 'joy'"),
    ],
)
def test_a_class_that_is_not_there_is_refused(rename: dict[str, str], only: list[str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        choose_classes(listing_of(LABELS), rename=rename, only=only)


@given(st.lists(st.sampled_from("abcd"), min_size=1), st.dictionaries(st.sampled_from("abcd"), st.sampled_from("cde")))
def test_every_clip_has_the_name_asked_for(labels: list[str], rename: dict[str, str]) -> None:
    rename = {old: new for old, new in rename.items() if old in labels}
    found = choose_classes(listing_of(labels), rename=rename, only=[])
    assert list(labels_of(found).values()) == [rename.get(label, label) for label in labels]
    assert set(found.class_names()) == set(labels_of(found).values())
