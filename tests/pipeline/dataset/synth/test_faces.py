"""Painted faces: a box around each shape holds all of it."""

from __future__ import annotations

import numpy as np
import pytest

from sciu.pipeline.dataset.synth import faces
from sciu.pipeline.dataset.synth.expressions import CLASSES, perform
from sciu.pipeline.dataset.synth.faces import draw_identity, render


@pytest.mark.parametrize("size", [32, 64, 112])
@pytest.mark.parametrize("label", range(len(CLASSES)), ids=CLASSES)
def test_a_face_is_the_same_as_without_boxes(monkeypatch: pytest.MonkeyPatch, label: int, size: int) -> None:
    """But for closed eyes, whose corners are drawn out to hairlines by a distance that is exact to first order only."""

    def painted() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        rng = np.random.default_rng([7, label])
        person = draw_identity(rng)
        return render(person, perform(label, person.rest, 24, rng), size, rng)

    in_boxes = painted()
    monkeypatch.setattr(faces._Scene, "around", lambda scene, _u, _v: scene.canvas)
    differs = np.abs(in_boxes.astype(int) - painted()).max(axis=-1)
    assert (differs > 1).mean() < 1e-3
    assert not (differs > 1).all(axis=0).any(), "no pixel is wrong in all frames"
