"""Lines are rendered once, and any selection of them equals rendering those."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sciu.purification.store.list_lines import Lines

PATHS = st.lists(st.text("ab/ü.", min_size=1, max_size=6), min_size=1, max_size=20)


@given(PATHS, st.data())
def test_picking_is_rendering(paths: list[str], data: st.DataObject) -> None:
    lines = Lines.render(paths)
    clips = sorted(data.draw(st.sets(st.integers(0, len(paths) - 1))))
    assert lines.pick(np.array(clips, np.int64)) == "".join(f"{paths[clip]} {clip}\n" for clip in clips).encode()
    assert [lines.path(clip) for clip in range(len(lines))] == paths
