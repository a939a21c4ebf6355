"""The pages of an LMDB file, audited without LMDB, which trusts them and would crash."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lmdb.verify

from sciu.purification.errors import DamagedError, PurifierError

DATA = "data.mdb"


def require_sound_pages(folder: Path) -> None:
    """Raise if the pages of the file are inconsistent: LMDB trusts them and would crash."""
    problems = structural_problems(folder)
    if problems:
        raise DamagedError(
            f"'{folder}' is damaged: {problems[0]}. Take a copy of it, and `sciu-purify verify` to see what is left."
        )


def structural_problems(folder: Path) -> list[str]:
    """Audit the file page by page, without LMDB; again if a writer changed it in the meantime."""
    problems: list[str] = []
    for attempt in range(5):
        time.sleep(0.02 * attempt)
        problems = _audit_pages(folder)
        if not problems:
            break
    return problems


def _audit_pages(folder: Path) -> list[str]:
    try:
        problems: list[Any] = lmdb.verify.verify(str(folder))  # type: ignore[no-untyped-call]
        return [str(problem) for problem in problems] + _meta_problems(folder / DATA)
    except lmdb.verify.VerifyError as error:
        return [str(error)]
    except OSError as error:
        raise PurifierError(f"'{folder}' cannot be read: {error.strerror}.") from error


def _meta_problems(data: Path) -> list[str]:
    """Check the two meta pages: LMDB writes them in turn, so their transactions follow each other."""
    with data.open("rb") as file:
        page = int.from_bytes(file.read(44)[40:], "little")
        file.seek(0)
        pages = file.read(2 * page)
    first, second = (int.from_bytes(pages[at + 144 : at + 152], "little") for at in (0, page))
    problems = []
    if abs(first - second) != 1 and (first, second) != (0, 0):
        problems.append(f"the meta pages are of transactions {first} and {second}, which do not follow each other")
    for at in (0, page):
        flags = tuple(int.from_bytes(pages[at + field : at + field + 2], "little") for field in (44, 92))
        if flags != (8, 0):  # of the list of free pages (integer keys) and of our blocks
            problems.append(f"a meta page has flags {flags}, which LMDB never wrote there")
    return problems
