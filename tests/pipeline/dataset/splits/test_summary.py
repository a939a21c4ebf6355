"""What makes the results on a dataset mean less than they seem to is said."""

from __future__ import annotations

from dataclasses import replace

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.splits.summary import cautions


def test_classes_that_look_the_same_are_pointed_out(faces: Dataset) -> None:
    names = ("Happy", "happy", "h appy", "\u00e9", "e\u0301", "sad", "SAD ")
    alike = replace(faces, classes=names, clips=faces.clips.replace(label=replace(faces.clips.label, names=names)))
    told = [caution for caution in cautions(alike) if "differ only in capitals" in caution]
    assert len(told) == 3
    assert told[0].startswith("classes 'Happy', 'happy' differ only in capitals")
