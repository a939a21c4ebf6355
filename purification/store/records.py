"""Incoming scores: checked, and kept until the epoch ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.purification.errors import PurifierError
from sciu.purification.store.score_plane import Plane

_SUM_TOLERANCE = 0.05  # of probabilities: a softmax in bf16 is off by as much as .02
_MOST = 1.001  # a softmax may exceed 1 by rounding


class Records:
    """One epoch's weights and probabilities by clip id. If a clip is recorded twice, the last counts."""

    def __init__(self, clips: int, classes: int) -> None:
        self._classes = classes
        self.seen = np.zeros(clips, np.bool_)
        self.scores = Plane.empty(clips, classes)

    def put(self, ids: Any, weights: Any, probs: Any, allowed: NDArray[np.bool_], epoch: int) -> None:
        """Record scores: all of them or, if one is invalid, none."""
        clips = _checked_ids(ids, allowed, epoch)
        weight_B, probs_BK = _checked_scores(weights, probs, clips, self._classes)
        self.seen[clips] = True
        self.scores.weight_N[clips] = weight_B
        for k in range(self._classes):
            self.scores.probs_KN[k, clips] = probs_BK[:, k]

    def block(self, span: slice) -> tuple[NDArray[np.bool_], Plane]:
        """Return which of some clips were scored, and their scores."""
        scores = Plane(self.scores.epoch_N[span], self.scores.weight_N[span], self.scores.probs_KN[:, span])
        return self.seen[span], scores


def _checked_ids(ids: Any, allowed: NDArray[np.bool_], epoch: int) -> NDArray[np.int64]:
    clips = as_array("ids", ids)
    if clips.ndim != 1 or (clips.size and not np.issubdtype(clips.dtype, np.integer)):
        raise PurifierError(f"`ids` must be a list of whole numbers, but is {clips.dtype} of shape {clips.shape}.")
    outside = clips[(clips < 0) | (clips >= len(allowed))]
    if len(outside):
        raise PurifierError(f"`ids` must be clip ids from 0 to {len(allowed) - 1}, but {outside[0]} is among them.")
    clips = clips.astype(np.int64)
    unlisted = clips[~allowed[clips]]
    if len(unlisted):
        raise PurifierError(
            f"clip {unlisted[0]} must not be recorded: it is not in the index of epoch {epoch}."
            " Record the clips of `purifier.index().ids` only."
        )
    return clips


def _checked_scores(
    weights: Any, probs: Any, clips: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    weight_B, probs_BK = as_array("weights", weights), as_array("probs", probs)
    if weight_B.shape != (len(clips),) or probs_BK.shape != (len(clips), classes):
        raise PurifierError(
            f"`weights` and `probs` must have shapes {(len(clips),)} and {(len(clips), classes)},"
            f" but have {weight_B.shape} and {probs_BK.shape}."
        )
    for name, values in (("weights", weight_B), ("probs", probs_BK)):
        if not np.issubdtype(values.dtype, np.floating):
            raise PurifierError(f"`{name}` must be floating point numbers, but are {values.dtype}.")
        if values.size and not (values.min() >= 0 and values.max() <= _MOST):  # false for NaN, too
            _refuse(name, values, clips)
    totals = probs_BK.sum(axis=1, dtype=np.float32)
    if totals.size and np.abs(totals - 1).max() > _SUM_TOLERANCE:
        worst = int(np.abs(totals - 1).argmax())
        raise PurifierError(
            f"`probs` must sum to 1 over the classes, but those of clip {clips[worst]} sum to {totals[worst]:.3f}."
            " Give probabilities (softmax), not logits."
        )
    return _half(weight_B), _half(probs_BK)


def as_array(name: str, values: Any) -> NDArray[Any]:
    """Return values as a numpy array; raise if numpy cannot convert them."""
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists; tensors with gradients, in bf16, on a GPU
        raise PurifierError(
            f"`{name}` must become a numpy array, but: {error}. Give `.float().cpu().numpy()`."
        ) from error


def _half(values: NDArray[Any]) -> NDArray[np.float16]:
    """Round to half precision, no more than 1, and no -0: `evidence.py` compares bits."""
    return np.minimum(values, 1).astype(np.float16) + np.float16(0)


def _refuse(name: str, values: NDArray[Any], clips: NDArray[np.int64]) -> None:
    wrong = ~((values >= 0) & (values <= _MOST)).reshape(len(clips), -1).all(axis=1)
    clip = int(wrong.argmax())
    raise PurifierError(
        f"`{name}` must be between 0 and 1, but those of clip {clips[clip]} are {values[clip].tolist()}."
    )
