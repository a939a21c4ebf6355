"""The published datasets as their archives unpack, with a few small clips each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from helpers import moving_picture, write_clip, write_frames
from PIL import Image

DFEW_LABELS = {1: 1, 2: 2, 10: 3, 300: 4, 4000: 5, 16372: 6, 7: 7}
DFEW_SPELLINGS = [
    "EmoLabel_DataSplit/{split}(single-labeled)/set_{fold}.csv",
    "EmoLabel_DataSplit/{split}(single_labeled)/set_{fold}.csv",
    "EmoLabel_DataSplit/{split}_set_{fold}.csv",
    "label/single_{split}set_{fold}.csv",
]
FERV39K_TRAIN = ("Action/Sad/0010 Sad", "Interview/Happy/0118 Happy", "Action/Fear/0003 Fear")
FERV39K_TEST = ("Crime/Angry/0001 Angry",)
MAFW_SINGLE = {1: "anger", 2: "contempt", 30: "disappointment", 3747: "anger", 5000: "surprise", 10045: "neutral"}
MAFW_COMPOUND = {2: "anger_disgust", 30: "sadness_helplessness_disappointment"}


def write_dfew(
    root: Path, *, labels: Mapping[int, int] = DFEW_LABELS, spelling: str = DFEW_SPELLINGS[0], base: int = 1,
    padded: bool = False,
) -> Path:  # fmt: skip
    """Write the face frames and all splits; of the first five clips the k-th is tested in fold k, and so on."""
    for video in labels:
        write_frames(root / "Clip/clip_224x224" / f"{video:05d}", moving_picture(11), f"{video:05d}_{{:05d}}.jpg")
    for fold in range(1, 6):
        for split in ("train", "test"):
            path = root / spelling.format(split=split, fold=fold)
            path.parent.mkdir(parents=True, exist_ok=True)
            chosen = [video for place, video in enumerate(labels) if tested(place, fold, labels) == (split == "test")]
            names = [f"{video:05d}" if padded else str(video) for video in chosen]
            rows = [f"{name},{labels[video] - 1 + base}" for name, video in zip(names, chosen, strict=True)]
            path.write_text("\n".join(["video_name,label", *rows]) + "\n")
    return root


def tested(place: int, fold: int, clips: Mapping[int, object]) -> bool:
    """Return whether a fold tests a clip; what is left after whole rounds of five folds only trains."""
    return place % 5 == fold - 1 and place < len(clips) // 5 * 5


def write_ferv39k(
    root: Path,
    train: Sequence[str] = FERV39K_TRAIN,
    test: Sequence[str] = FERV39K_TEST,
    on_disk: Sequence[str] = (*FERV39K_TRAIN, *FERV39K_TEST),
) -> Path:
    """Write the split files, and face frames and original clips of what is on the disk: `scene/class/number class`."""
    (root / "4_setups/All_scenes").mkdir(parents=True)
    for split, rows in (("train", train), ("test", test)):
        (root / f"4_setups/All_scenes/{split}_All.csv").write_text("\n".join(rows) + "\n")
    for number, row in enumerate(on_disk):
        write_frames(root / "2_ClipsforFaceCrop" / row.split()[0], moving_picture(8 + number % 8), "{:04d}.jpg")
        write_clip(root / "0_7_LabelClips" / (row.split()[0] + ".mp4"), "h264", frames=30)
    return root


def write_mafw(
    root: Path,
    *,
    single: Mapping[int, str] = MAFW_SINGLE,
    compound: Mapping[int, str] = MAFW_COMPOUND,
    captions: bool = False,
) -> Path:
    """Write frames, clips and all splits; compound labels are the single ones but for those given."""
    for video in single:
        folder = root / "data/frames" / f"{video:05d}"
        folder.mkdir(parents=True)
        for number, frame in enumerate(moving_picture(4, 40, 30), start=1):
            Image.fromarray(frame).save(folder / f"{number:04d}.png")
        write_clip(root / "data/clips" / f"{video:05d}.mp4", "h264", frames=5)
    for labels, table in (("single", single), ("compound", {**single, **compound})):
        for fold in range(1, 6):
            folder = root / "Train & Test Set" / labels / ("with_caption" if captions else "no_caption") / f"set_{fold}"
            folder.mkdir(parents=True)
            for split in ("train", "test"):
                rows = [
                    f"{video:05d}.mp4\t{name}\tHe is angry.\t他很生气。" if captions else f"{video:05d}.mp4 {name}"
                    for place, (video, name) in enumerate(table.items())
                    if tested(place, fold, table) == (split == "test")
                ]
                text = "\r\n".join(rows) + "\r\n"
                (folder / f"{split}.txt").write_bytes(text.encode("gbk" if captions else "utf-8"))
    return root
