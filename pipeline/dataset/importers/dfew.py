"""DFEW: seven classes, five folds; CSV splits in the various layouts found in copies."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.listing import ListedClip, Listing, Media, Published, first_folder, read_rows
from sciu.pipeline.dataset.media.kinds import is_folder, is_hidden, is_packed, is_video

CLASSES = ("Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear")  # codes 1 to 7
MEDIA = {
    "faces": Media("clip_224x224", "frames"),
    "faces16": Media("clip_224x224_16f", "frames"),
    "clips": Media("original", "video", ".mp4"),
}
_TRAIN = (9356, 9356, 9357, 9358, 9361)
_TEST = (2341, 2341, 2340, 2339, 2336)
PUBLISHED = Published(
    totals={(fold, "train"): n for fold, n in enumerate(_TRAIN, 1)}
    | {(fold, "test"): n for fold, n in enumerate(_TEST, 1)},
    by_class={(1, "train"): dict(zip(CLASSES, (1956, 1515, 2135, 1738, 1175, 116, 721), strict=True))},
)
_Row = tuple[int, int, str, int, str]
"""Clip number, label code, split, fold, file and line."""
_SPLIT_FILE = re.compile(r"(?P<split>train|test)(?!.*(?:train|test)).*?(?P<fold>[1-5])\.csv$")


def read(source: Path, *, media: str = "faces") -> Listing:
    """Return the clips of all splits; `media` is faces, faces16 or clips."""
    form = MEDIA[media]
    folder = first_folder(source, f"Clip/{form.folder}", form.folder)
    listing = Listing(name=f"dfew-{media}", root=source, classes=CLASSES, published=PUBLISHED)
    rows = [row for (split, fold), path in _split_files(source).items() for row in _rows(path, split, fold)]
    _note_gaps(rows, listing)
    base = _label_base(rows, listing)
    on_disk = _names_by_number(source / folder, form.kind)
    for video, label, split, fold, where in rows:
        name = on_disk.get(video, f"{video:05d}{form.suffix}")
        listing.add(ListedClip(f"{folder}/{name}", form.kind, CLASSES[label - base], where), split, fold=fold)
    return listing


def _split_files(source: Path) -> dict[tuple[str, int], Path]:
    """Return the file of every split and fold, such as `train(single-labeled)/set_1.csv` or `single_trainset_1.csv`."""
    found: dict[tuple[str, int], Path] = {}
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(
            name
            for name in folders
            if name not in {"Clip", "Annotation", *(form.folder for form in MEDIA.values())} and not is_hidden(name)
        )
        for name in sorted(files):
            path = Path(folder, name)
            match = _SPLIT_FILE.search(str(path.relative_to(source)).lower())
            if not match or is_hidden(name) or "multi" in str(path.relative_to(source)).lower():
                continue
            key = (match["split"], int(match["fold"]))
            if (other := found.setdefault(key, path)) != path:
                raise DatasetError(
                    f"two files list {key[0]} of fold {key[1]}: '{other}' and '{path}'. Remove one of them."
                )
    if not found:
        raise DatasetError(
            f"no split files in '{source}': expected EmoLabel_DataSplit/train(single-labeled)/set_1.csv etc."
        )
    return found


def _rows(path: Path, split: str, fold: int) -> list[_Row]:
    place = path.name if path.parent.name == "label" else f"{path.parent.name}/{path.name}"
    rows = []
    for number, row in read_rows(path):
        if number == 1 and row[0].strip() == "video_name":
            continue
        fields = re.fullmatch(r"\s*0*([0-9]{1,9})(?:\.mp4)?\s*,\s*([0-9])\s*", ",".join(row))
        if not fields:
            raise DatasetError(
                f"{place}:{number}: a row must be `video_name,label` in numbers, but is {','.join(row)!r}."
            )
        rows.append((int(fields[1]), int(fields[2]), split, fold, f"{place}:{number}"))
    return rows


def _note_gaps(rows: list[_Row], listing: Listing) -> None:
    listed = {(split, fold) for _, _, split, fold, _ in rows}
    gaps = [
        f"{split} of fold {fold}" for fold in range(1, 6) for split in ("train", "test") if (split, fold) not in listed
    ]
    if gaps:
        listing.notes.append(f"no file lists a clip for {', '.join(gaps)}")


def _label_base(rows: list[_Row], listing: Listing) -> int:
    """Return the first label code: 1 as published, or 0 as in a popular copy."""
    codes = {label for _, label, *_ in rows}
    if codes - set(range(8)) or {0, 7} <= codes:
        odd = sorted(codes - set(range(1, 8)))
        where = next(where for _, label, *_, where in rows if label in odd)
        raise DatasetError(
            f"{where}: label codes must be 1 to 7, or 0 to 6 throughout, but {odd[0]} and {max(codes)} both occur."
        )
    if 0 in codes:
        listing.notes.append("label codes start at 0 (a 0 occurs): read as 0 Happy ... 6 Fear")
        return 0
    if 7 not in codes:
        listing.notes.append("neither label code 0 nor 7 occurs: read as published, 1 Happy ... 7 Fear")
    return 1


def _names_by_number(folder: Path, kind: str) -> dict[int, str]:
    """Return the clips on disk by number, padded to five digits or not; other files are ignored."""
    with os.scandir(folder) as entries:
        if kind == "video":
            clips = sorted(entry.name for entry in entries if is_video(entry.name))
        else:
            clips = sorted(entry.name for entry in entries if is_packed(entry.name) or is_folder(entry))
    names: dict[int, str] = {}
    for name in clips:
        number = re.match(r"([0-9]+)(\.|$)", name)
        if number and (other := names.setdefault(int(number[1]), name)) != name:
            raise DatasetError(
                f"'{folder}' holds clip {int(number[1])} twice: '{other}', '{name}'. Remove one of them."
            )
    return names
