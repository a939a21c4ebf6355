"""Launch the kernel for a batch. Importing this needs Triton, which torch installs on GPU machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import triton

from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.pixels import kernel
from sciu.pipeline.feed.pixels.render import Source
from sciu.pipeline.feed.pixels.table import make_table
from sciu.pipeline.feed.pixels.upload import Picks
from sciu.pipeline.feed.plan.plan import Samples


def launch(sources: Sequence[Source], picks: Sequence[Picks], samples: Samples, batch: ClipBatch) -> None:
    """Queue the upload of the kernel's table, and the kernel."""
    frames_BTHWC = batch.frames_BTHWC
    size = frames_BTHWC.shape[2]
    table = make_table(sources, picks, samples, size, frames_BTHWC.device)
    grid = len(sources) * table.frames, triton.cdiv(size * size, kernel.PIXELS.value)
    render: Any = kernel.render
    render[grid](
        table.addresses, table.ids, table.boxes, table.looks, frames_BTHWC, batch.ids, table.frames,
        SIZE=size, TURNED=table.turned,
    )  # fmt: skip
