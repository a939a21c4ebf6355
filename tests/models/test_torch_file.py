"""Files of torch are read whole and safely: no code of theirs runs, and none of them unpacks to more than it is."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from sciu.models.errors import ModelError
from sciu.models.torch_file import read_torch

CONTENT = {"model": {"w": torch.arange(1000.0)}}


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def zipped_again(content: bytes, kind: int, *, twice: bool = False) -> bytes:
    """The members of a zip in another one."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(file, "w", kind) as archive:
        for name in given.namelist():
            archive.writestr(name, given.read(name))
        if twice:
            with pytest.warns(UserWarning, match="Duplicate name"):
                archive.writestr(name, given.read(name))
    return file.getvalue()


@pytest.mark.parametrize("zipped", [False, True])
def test_there_and_back(zipped: bool) -> None:
    file = io.BytesIO()
    torch.save(CONTENT, file, _use_new_zipfile_serialization=zipped)
    found = read_torch(io.BytesIO(file.getvalue()))
    assert torch.equal(found["model"]["w"], CONTENT["model"]["w"])


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_bomb_is_refused_unread(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped_again(saved({"model": {"w": torch.zeros(1_000_000)}}), kind)
    assert len(bomb) < 100_000
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(ModelError, match=r"is compressed: [0-9,]+ bytes that unpack to 4,000,[0-9]+\."):
        read_torch(io.BytesIO(bomb))


def test_members_that_share_their_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory can name the same megabytes a thousand times, uncompressed."""
    listed = zipfile.ZipFile.infolist
    monkeypatch.setattr(zipfile.ZipFile, "infolist", lambda self: listed(self) * 1000)
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(ModelError, match="bytes that unpack to"):
        read_torch(io.BytesIO(saved(CONTENT)))


def test_a_part_that_is_there_twice_is_refused() -> None:
    """Our checksums would be those of the one, and torch would load the other."""
    with pytest.raises(ModelError, match="holds one part twice"):
        read_torch(io.BytesIO(zipped_again(saved(CONTENT), zipfile.ZIP_STORED, twice=True)))


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, ("touch /tmp/sciu_was_here",)


@pytest.mark.parametrize("content", [saved(Evil()), saved({"a": Evil()}), pickle.dumps(Evil(), 2)])
def test_torchs_advice_to_run_a_strangers_code_is_not_passed_on(content: bytes) -> None:
    with pytest.raises(ModelError) as told:
        read_torch(io.BytesIO(content))
    text = str(told.value)
    assert "GLOBAL posix.system" in text
    assert "Do not load it unsafely" in text
    assert "torch.save(model.state_dict()" in text
    for advice in ("Re-running", "trust", "allowlist", "file an issue", "\n"):
        assert advice not in text
    assert not Path("/tmp/sciu_was_here").exists()


def test_a_pickle_that_torch_cannot_read_is_told_without_advice() -> None:
    with pytest.raises(ModelError) as told:
        read_torch(io.BytesIO(pickle.dumps({"a": b"x" * 100}, protocol=3)))
    for advice in ("Re-running", "trust", "file an issue"):
        assert advice not in str(told.value)
