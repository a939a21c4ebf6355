"""The epoch index: which clips to decode and with which labels, as files with checksums.

    epoch_00007.list         one line per clip, `path clip_id`, ascending by id
    epoch_00007.labels.npy   int16 by clip id; -1 where a clip does not train
    epoch_00007.targets.npy  by clip id (pull float16, average float16[K]); of the methods that pull, `auto` and `elr`
    epoch_00007.json         counts, policy, thresholds, and the SHA-256 of the others

A clip in the list whose label is -1 is there to be scored only. To the loss of clip i, `auto` and `elr` add
pull_i * log(1 - <.7 average_i + .3 P, P>), where P is the network's current prediction, without gradient in the target.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.purification.errors import DamagedError, PurifierError, WriteFailedError, declared
from sciu.purification.store.list_lines import Lines

_REMEDY = "Write it again: `sciu-purify verify RUN --rewrite`."

Ids = NDArray[np.int64]
Targets = NDArray[np.void]
"""By clip id: `pull`, and `average`, the running average of the clip's predictions."""


def make_targets(running_KN: NDArray[np.float16], pull: NDArray[np.floating[Any]]) -> Targets:
    """Join the averages and the strength of the pull to them, by clip id."""
    targets = np.empty(len(pull), [("pull", "<f2"), ("average", "<f2", (len(running_KN),))])
    targets["pull"], targets["average"] = pull, running_KN.T
    return targets


@dataclass(frozen=True)
class Changes:
    """What the decision before an epoch changed: clip ids, ascending."""

    pruned: Ids
    corrected: Ids
    restored: Ids


@dataclass(frozen=True, kw_only=True)
class IndexHeader:
    """The content of the json, without the hashes of the other files."""

    epoch: int
    generation: int  # events that came before
    counts: dict[str, int]
    policy: dict[str, Any]
    thresholds: dict[str, float]
    spared: dict[str, int]

    @classmethod
    def from_json(cls, content: Any) -> IndexHeader:
        """Read it; other keys of the json are ignored."""
        return declared(cls, content, "the header of an index")


@dataclass(frozen=True, eq=False)
class EpochIndex:
    """What to decode in an epoch, the same in every process."""

    epoch: int  #: from 1 on
    ids: Ids  #: of the clips to decode, ascending: other ranks tell them from the labels
    labels: NDArray[np.int16]  #: by clip id; -1 where a clip does not train
    header: IndexHeader
    changes: Changes | None = field(default=None, repr=False)
    lines: Lines | None = field(default=None, repr=False)
    targets: Targets | None = field(default=None, repr=False)  #: by clip id, `pull` and `average`; None without a pull

    @classmethod
    def given(cls, ids: Ids, labels: NDArray[np.int16], epoch: int) -> EpochIndex:
        """List clips with their given labels, for loops without a purifier: benchmarks, evaluations."""
        listed = np.full(len(labels), -1, np.int16)
        listed[ids] = labels[ids]
        header = IndexHeader(epoch=epoch, generation=0, counts={}, policy={}, thresholds={}, spared={})
        return cls(epoch=epoch, ids=ids, labels=listed, header=header)

    @property
    def score_only(self) -> Ids:
        """Clips that are decoded and scored but do not train."""
        return self.ids[self.labels[self.ids] < 0]

    @property
    def pruned(self) -> Ids:
        """Clips newly pruned by the decision before this epoch."""
        return self._changes().pruned

    @property
    def corrected(self) -> Ids:
        """Clips newly relabelled by the decision before this epoch."""
        return self._changes().corrected

    @property
    def restored(self) -> Ids:
        """Clips restored by the decision before this epoch."""
        return self._changes().restored

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what other ranks do not need or can tell: the lines, and the ids where the labels say them.

        Of 70 bytes a clip 2 are left, and the averages. Only rank 0 writes.
        """
        score_only = self.score_only
        told = np.count_nonzero(self.labels >= 0) + len(score_only) == len(self.ids)
        return {**self.__dict__, "lines": None, "ids": None if told else self.ids, "score_only": score_only}

    def __setstate__(self, state: dict[str, Any]) -> None:
        score_only = state.pop("score_only")
        if state["ids"] is None:
            listed = state["labels"] >= 0
            listed[score_only] = True
            state["ids"] = np.flatnonzero(listed)
        self.__dict__.update(state)

    def _changes(self) -> Changes:
        if self.changes is None:
            raise PurifierError("an index read from files does not know what changed. Use Purifier.index_at().")
        return self.changes

    def files(self) -> dict[str, bytes]:
        """Return the files by name, the json last: the same bytes for the same history, always."""
        if self.lines is None:
            raise PurifierError(
                "only the purifier's own index can be written: one read from files exists already, and only rank 0"
                " writes."
            )
        stem = _stem(self.epoch)
        contents = {f"{stem}.list": self.lines.pick(self.ids), f"{stem}.labels.npy": _npy(self.labels)}
        if self.targets is not None:
            contents[f"{stem}.targets.npy"] = _npy(self.targets)
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        header = json.dumps({**asdict(self.header), "sha256": hashes}, indent=2, sort_keys=True, ensure_ascii=False)
        return {**contents, f"{stem}.json": f"{header}\n".encode()}

    def write(self, folder: Path | str) -> Path:
        """Write the files, each whole or absent, the json last; return its path."""
        folder, files = Path(folder), self.files()
        path = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(".epoch_*.partial"):  # by a process that was killed
                left.unlink()
            for name, content in files.items():
                path = folder / name
                _write_durably(path, content)
            _sync(folder)
        except OSError as error:
            raise WriteFailedError(
                f"index of epoch {self.epoch} cannot be written to '{path}': {error.strerror}."
                " Free some space or repair the folder, and write it again."
            ) from error
        return path  # the json

    @classmethod
    def read(cls, folder: Path | str, epoch: int) -> EpochIndex:
        """Read the files; raise if they are not those that the json was written for."""
        folder, stem = Path(folder), _stem(epoch)
        header, hashes = _read_header(folder / f"{stem}.json", epoch)
        names = [f"{stem}.list", f"{stem}.labels.npy", f"{stem}.targets.npy"]
        contents = {name: _read(folder / name) for name in names if name in hashes or name != names[-1]}
        for name, content in contents.items():
            expected, found = hashes.get(name), hashlib.sha256(content).hexdigest()
            if found != expected:
                raise DamagedError(
                    f"'{folder / name}' must have the SHA-256 {str(expected)[:12]}..., but has {found[:12]}..."
                    f" {_REMEDY}"
                )
        try:
            ids_N, label_N, target_N = _arrays(*(contents.get(name) for name in names))
        except (ValueError, OverflowError) as error:
            raise DamagedError(f"index of epoch {epoch} in '{folder}' is damaged: {error}. {_REMEDY}") from error
        return cls(epoch=epoch, ids=ids_N, labels=label_N, header=header, targets=target_N)


def published_epochs(folder: Path) -> list[int]:
    """Return the epochs that have an index, ascending."""
    names = [path.name for path in folder.glob("epoch_?????.json")]
    return sorted(int(name[6:11]) for name in names if name[6:11].isdigit())


def _array(content: bytes) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # its reader of headers raises whatever Python's tokenizer does
        raise ValueError(f"no array: {type(error).__name__}") from error
    return array


def _npy(array: NDArray[Any]) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def _stem(epoch: int) -> str:
    return f"epoch_{epoch:05d}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DamagedError(f"'{path}' is missing, so this index is incomplete. {_REMEDY}") from None


def _read_header(path: Path, epoch: int) -> tuple[IndexHeader, dict[str, str]]:
    """Return the header, and the hashes of the other files."""
    content = _read(path)
    try:
        read = json.loads(content)
        header, hashes = IndexHeader.from_json(read), read.get("sha256")
        if header.epoch != epoch or not isinstance(hashes, dict):
            raise DamagedError(f"it is of epoch {header.epoch}, with the hashes {hashes!r:.60}")
    except (ValueError, RecursionError) as error:  # ours among them
        raise DamagedError(f"'{path}' is not an epoch index: {error}. {_REMEDY}") from error
    return header, hashes


def _arrays(
    listed: bytes | None, labels: bytes | None, targets: bytes | None
) -> tuple[Ids, NDArray[np.int16], Targets | None]:
    """Return ids, labels and targets from the content of their files; raise a ValueError unless they fit together."""
    ids_N = np.array([int(line.rpartition(b" ")[2]) for line in (listed or b"").splitlines()], np.int64)
    label_N, target_N = _array(labels or b""), None if targets is None else _array(targets)
    if label_N.dtype != np.int16 or label_N.ndim != 1:
        raise ValueError(f"labels must be int16 by clip, but are {label_N.dtype} of shape {label_N.shape}")
    if len(ids_N) and not (ids_N.min() >= 0 and ids_N.max() < len(label_N) and (np.diff(ids_N) > 0).all()):
        raise ValueError(f"the list must have ascending clip ids from 0 to {len(label_N) - 1}, but has others")
    if target_N is not None and (target_N.shape != label_N.shape or target_N.dtype.names != ("pull", "average")):
        raise ValueError(f"targets must be by clip, but are {target_N.dtype} of shape {target_N.shape}")
    return ids_N, label_N, target_N


def _write_durably(path: Path, content: bytes) -> None:
    """Write whole or not at all. The dataset package does the same; neither imports the other."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
