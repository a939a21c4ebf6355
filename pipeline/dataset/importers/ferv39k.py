"""FERV39k: seven classes, 22 scenes, one official split, whose files may have a header."""

from __future__ import annotations

import re
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.listing import (
    ListedClip,
    Listing,
    Media,
    Published,
    first_folder,
    read_lines,
    some,
)

CLASSES = ("Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear")
MEDIA = {"faces": Media("2_ClipsforFaceCrop", "frames"), "clips": Media("0_7_LabelClips", "video", ".mp4")}
PUBLISHED = Published(
    totals={(1, "train"): 31088, (1, "test"): 7847},
    by_class={(1, "train"): dict(zip(CLASSES, (5854, 5523, 7790, 5906, 2502, 1833, 1680), strict=True))},
)
_CODES = sorted(CLASSES)  # files with numbers use the alphabetical order of the names


def read(source: Path, *, media: str = "faces") -> Listing:
    """Return the clips of the official split; `media` is faces or clips."""
    form = MEDIA[media]
    folder = first_folder(source, form.folder)
    setup = first_folder(source, "4_setups/All_scenes", "All_scenes")
    listing = Listing(name=f"ferv39k-{media}", root=source, classes=CLASSES, published=PUBLISHED)
    elsewhere: list[str] = []
    for split in ("train", "test"):
        path = source / setup / f"{split}_All.csv"
        for number, line in enumerate(read_lines(path), start=1):
            where = f"{path.name}:{number}"
            if not line.strip() or (number == 1 and line.replace(" ", "").lower() == "path,id"):
                continue
            name, label = _parse(line, where)
            clip = f"{folder}/{name}{form.suffix}"
            listing.add(ListedClip(clip, form.kind, label, where, group=name.split("/")[0]), split)
            if name.split("/")[-2:-1] != [label]:
                elsewhere.append(f"{where} {label} in '{name}'")
    if elsewhere:
        listing.notes.append(f"{len(elsewhere)} labels contradict their clip's folder and were kept: {some(elsewhere)}")
    return listing


def _parse(line: str, where: str) -> tuple[str, str]:
    name, _, label = line.strip().rpartition("," if "," in line else " ")
    if re.fullmatch("[0-6]", label):
        label = _CODES[int(label)]
    if not name or label not in CLASSES:
        raise DatasetError(
            f"{where}: a row must be `Scene/Emotion/0001 Emotion` or `Scene/Emotion/0001,id`, but is {line!r}."
        )
    return name.strip(), label
