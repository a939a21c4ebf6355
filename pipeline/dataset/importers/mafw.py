"""MAFW: 11 single or 43 compound classes, five folds.

Labels are stored as names, because every public code base numbers the classes differently.
"""

from __future__ import annotations

import re
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.listing import ListedClip, Listing, Media, Published, first_folder, read_lines

CLASSES = (
    "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "anxiety", "helplessness",
    "disappointment",
)  # fmt: skip
MEDIA = {"frames": Media("data/frames", "frames"), "clips": Media("data/clips", "video", ".mp4")}
LABELS = ("single", "compound")
_TRAIN = (7333, 7335, 7339, 7340, 7341)
_TEST = (1839, 1837, 1833, 1832, 1831)
PUBLISHED = Published(
    totals={(fold, "train"): n for fold, n in enumerate(_TRAIN, 1)}
    | {(fold, "test"): n for fold, n in enumerate(_TEST, 1)}
)
_FOLDS = range(1, 6)


def read(source: Path, *, media: str = "frames", labels: str = "single") -> Listing:
    """Return the clips of all folds; `media` is frames or clips, `labels` is single or compound."""
    form = MEDIA[media]
    folder = first_folder(source, form.folder)
    sets = first_folder(source, *(f"Train & Test Set/{labels}/{kind}" for kind in ("no_caption", "with_caption")))
    listing = Listing(name=f"mafw-{labels}-{media}", root=source)
    if labels == "single":
        listing.classes, listing.published = CLASSES, PUBLISHED
    encoding = "gb18030" if sets.endswith("with_caption") else "utf-8-sig"
    for fold in _FOLDS:
        for split in ("train", "test"):
            path = source / sets / f"set_{fold}" / f"{split}.txt"
            if not path.exists():
                raise DatasetError(f"'{path}' is missing: MAFW has five folds. Unpack the archive again.")
            for number, line in enumerate(read_lines(path, encoding), start=1):
                if line.strip():
                    video, label = _parse(line, where := f"set_{fold}/{path.name}:{number}")
                    clip = ListedClip(f"{folder}/{video}{form.suffix}", form.kind, label, where)
                    listing.add(clip, split, fold=fold)
    listing.classes = listing.classes or _compound_order(listing)
    return listing


def _parse(line: str, where: str) -> tuple[str, str]:
    """Parse `03747.mp4 anger`, or the same separated by tabs and followed by captions."""
    fields = [field.strip() for field in (line.split("\t") if "\t" in line else line.split())]
    video = re.fullmatch(r"([0-9]+)\.mp4", fields[0])
    label = next((field for field in fields[1:] if _is_label(field)), None)
    if not video or label is None:
        raise DatasetError(
            f"{where}: a row must be `00001.mp4 emotion`, but is {line!r}. Emotions are {list(CLASSES)}."
        )
    parts = sorted(set(label.split("_")), key=CLASSES.index)
    return f"{int(video[1]):05d}", "_".join(parts)  # one name for anger_disgust and disgust_anger


def _is_label(field: str) -> bool:
    return all(part in CLASSES for part in field.split("_"))


def _compound_order(listing: Listing) -> list[str]:
    """Return single emotions first, then compounds, each in the official order of their parts."""
    names = {clip.label for clip in listing.clips.values()}
    return sorted(names, key=lambda name: (name.count("_"), [CLASSES.index(part) for part in name.split("_")]))
