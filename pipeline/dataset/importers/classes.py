"""The classes of a listing renamed, merged and left out, as its user asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sciu.pipeline.dataset.importers.listing import Listing, did_you_mean, some
from sciu.pipeline.dataset.media.kinds import natural_key
from sciu.pipeline.errors import SettingError


def choose_classes(listing: Listing, *, rename: Mapping[str, str], only: Sequence[str]) -> Listing:
    """Return the listing with new names of classes, of which one may be that of another class, and without the others.

    Classes keep their order if the source has one. Published counts are dropped: they are those of other classes.
    """
    if not rename and not only:
        return listing
    _require_classes("--rename", rename, listing.class_names())
    names = list(dict.fromkeys(rename.get(name, name) for name in listing.class_names()))
    _require_classes("--only", only, names)
    kept = [name for name in names if name in only or not only]
    counts = Counter(clip.label for clip in listing.clips.values())
    renamed = {path: replace(clip, label=rename.get(clip.label, clip.label)) for path, clip in listing.clips.items()}
    clips = {path: clip for path, clip in renamed.items() if clip.label in kept}
    notes = [f"class {old!r} was renamed to {new!r}: {counts[old]} clips" for old, new in rename.items()]
    if left_out := [name for name in names if name not in kept]:
        notes.append(f"{len(renamed) - len(clips)} clips of other classes were left out: {some(left_out)}")
    classes = kept if listing.classes else sorted(kept, key=natural_key)
    return replace(listing, classes=classes, clips=clips, notes=[*listing.notes, *notes], published=None)


def _require_classes(option: str, wanted: Iterable[str], names: list[str]) -> None:
    for name in wanted:
        if name not in names:
            raise SettingError(
                f"{option} must name classes of the source, {some(names)}, but one is {name!r}."
                f"{did_you_mean(name, names)}"
            )
