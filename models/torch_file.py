"""Read what `torch.save` wrote: whole, no larger than its file, and without running the code that a pickle can hold."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from typing import Any, BinaryIO

import torch

from sciu.models.errors import ModelError

_CHUNK = 1 << 20


def read_torch(file: BinaryIO, allowed: Sequence[Any] = ()) -> Any:
    """Return a file's content; `allowed` are the classes, besides torch's own, that it may hold.

    Any fault is a ModelError that says the reason alone; the caller knows the file's name, and the way on.
    """
    try:
        if file.read(4) == b"PK\3\4":  # older versions of torch wrote no zip
            _require_whole(file)
        file.seek(0)
        with torch.serialization.safe_globals([*allowed]):
            return torch.load(file, "cpu", weights_only=True)
    except ModelError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise ModelError(reason_of(error)) from error


def _require_whole(file: BinaryIO) -> None:
    """Verify a zip's checksums, which torch ignores, and refuse one that unpacks to more than it is.

    torch stores tensors as they are, but inflates them where somebody has compressed them: 200 kB can be 200 MB.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        size, unpacked = file.seek(0, 2), sum(member.file_size for member in members)
        compressed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
        if compressed or unpacked > size:
            raise ModelError(
                f"it must be stored as torch.save stores it, but is compressed: {size:,} bytes that unpack to"
                f" {unpacked:,}. Unpacking it is refused"
            )
        if len({member.filename for member in members}) < len(members):
            raise ModelError("it holds one part twice")
        for member in members:
            with archive.open(member) as part:
                while part.read(_CHUNK):
                    pass


def reason_of(error: BaseException) -> str:
    """Return the cause of the error, without torch's advice to load the file unsafely."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    if culprit := next((found[1] for line in lines if (found := re.search(r"GLOBAL:? (\S+)", line))), None):
        return (
            f"it holds Python objects (GLOBAL {culprit}), and loading those can run any code that somebody put into it."
            " Do not load it unsafely, with weights_only=False: where it was made, save tensors alone, with"
            " torch.save(model.state_dict(), ...)"
        )
    lines = [
        line.rpartition("WeightsUnpickler error:")[2].strip() for line in lines if "WeightsUnpickler" in line
    ] or lines
    text = re.sub(r"\x1b\[[0-9;]*m", "", next(filter(None, lines), "it is empty, cut off or no file of torch"))
    return f"{type(error).__name__}: {text.strip()[:200]}".rstrip(".")
