"""`sciu-doctor`: what this machine has, which codecs it decodes, and how to install what is missing."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.feed.files import nvdec
from sciu.tools.command import RUN_FAILED, Command, Marked, json_option, print_json, print_table

OK, NOTE, PROBLEM = "ok", "note", "problem"
_COLOURS = {OK: "green", NOTE: "yellow", PROBLEM: "red"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing checked. A note limits what can be done here; a problem stops everything."""

    what: str
    state: str
    found: str
    remedy: str = ""


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@json_option
def main(as_json: bool) -> None:
    """Check versions, GPU, video decoder and codecs, and print remedies; exit with code 1 on problems.

    Example: sciu-doctor
    """
    findings = [*_installation(), *_packages(), *_machine()]
    broken = {finding.what for finding in findings if finding.state == PROBLEM}
    if "torch" not in broken:
        findings += _gpu()
    decoders = {} if broken else _decoders()
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings], "decoders": decoders})
    else:
        _print(findings, decoders)
    if broken:
        sys.exit(RUN_FAILED)


def _decoders() -> dict[str, dict[str, bool]]:
    from sciu.tools.doctor.decoder_table import decoder_table  # imports packages that may be broken

    return decoder_table()


def _print(findings: list[Finding], decoders: dict[str, dict[str, bool]]) -> None:
    rows = [[finding.what, Marked(finding.state, _COLOURS[finding.state]), finding.found] for finding in findings]
    print_table(["", "state", "found"], rows)
    for finding in findings:
        if finding.remedy:
            click.echo(f"\n{finding.what}: {finding.remedy}")
    if decoders:
        click.echo()
        columns = list(next(iter(decoders.values())))
        able_rows = [[codec, *("yes" if able[name] else "no" for name in columns)] for codec, able in decoders.items()]
        print_table(["codec", *columns], able_rows)
        click.echo(
            "\nWhat DALI cannot decode here, the host decodes (PyAV, Pillow); `sciu-data pack` rewrites it for DALI."
        )


# ---- what is installed


def _installation() -> list[Finding]:
    here = Path(__file__).resolve().parent.parent
    return [
        Finding(what="sciu", state=OK, found=f"{_own_version()}, loaded from {here}"),
        Finding(what="python", state=OK, found=f"{platform.python_version()}, {sys.executable}"),
    ]


def _own_version() -> str:
    """Return the version of sciu; code that runs from a checkout has none."""
    try:
        return importlib.metadata.version("sciu")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


_PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "nvidia.dali": "nvidia-dali-cuda120",
    "numpy": "numpy",
    "lmdb": "lmdb",
    "av": "av",
    "PIL": "pillow",
    "pyarrow": "pyarrow",
    "click": "click",
    "tensorboard": "tensorboard",
}


def _packages() -> Iterator[Finding]:
    for module, distribution in _PACKAGES.items():
        try:
            found = f"{_version(importlib.import_module(module), distribution)}{_engine(module)}"
            yield Finding(what=distribution, state=OK, found=found)
        except Exception as error:  # noqa: BLE001 - a broken binary package raises anything
            remedy = f"pip install --force-reinstall {distribution}"
            yield Finding(what=distribution, state=PROBLEM, found=f"does not import: {error}", remedy=remedy)


def _version(module: ModuleType, distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:  # DALI for another CUDA is another distribution of the same module
        return str(module.__version__)


def _engine(module: str) -> str:
    """Return the version of the library inside a package, where it matters."""
    loaded: Any = sys.modules[module]
    if module == "lmdb":
        return ", engine " + ".".join(map(str, loaded.version()))
    if module == "av":
        return f", FFmpeg {loaded.ffmpeg_version_info}"
    if module == "torch":
        return f", CUDA {loaded.version.cuda or 'none'}"
    return ""


# ---- the machine

_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - not a temporary file: the channel between loader workers and trainer


def _machine() -> Iterator[Finding]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield Finding(what="cores", state=OK, found=f"{cores()} usable, {memory:.0f} GiB memory")
    shared = shutil.disk_usage(_SHARED_MEMORY).free / 2**30
    few = shared < 1
    remedy = "DataLoader workers pass batches through /dev/shm. In a container: docker run --shm-size=8g" if few else ""
    yield Finding(what=_SHARED_MEMORY, state=NOTE if few else OK, found=f"{shared:.1f} GiB free", remedy=remedy)


def _gpu() -> Iterator[Finding]:
    import torch

    if not torch.cuda.is_available():
        driver = Path("/proc/driver/nvidia/version").exists()
        remedy = (
            f"A driver is loaded, but torch (CUDA {torch.version.cuda}) cannot use it: compare `nvidia-smi`."
            if driver
            else "Everything runs on the CPU. For a GPU: install NVIDIA's driver; in a container: docker run --gpus all"
        )
        yield Finding(what="GPU", state=NOTE, found="none", remedy=remedy)
        return
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        found = f"{card.name}, {card.total_memory / 2**30:.0f} GiB, compute {card.major}.{card.minor}"
        yield Finding(what=f"GPU {number}", state=OK, found=found)
    yield from _nvdec()
    yield _nvjpeg()


def _nvdec() -> Iterator[Finding]:
    import torch

    torch.zeros(1, device="cuda")  # makes the context that the query needs
    if nvdec.library() is None:
        remedy = "In a container: docker run -e NVIDIA_DRIVER_CAPABILITIES=compute,utility,video"
        yield Finding(what="NVDEC", state=NOTE, found=f"{nvdec.LIBRARY} does not load", remedy=remedy)
        return
    for able in nvdec.capabilities():
        sizes = (
            f"{able.min_size[0]}x{able.min_size[1]} to {able.max_size[0]}x{able.max_size[1]}, {able.engines} engines"
        )
        remedy = "" if able.supported else f"This GPU does not decode {able.codec}: sciu-data pack --codec h264"
        found = sizes if able.supported else "not supported"
        yield Finding(what=f"NVDEC {able.codec}", state=OK if able.supported else NOTE, found=found, remedy=remedy)


def _nvjpeg() -> Finding:
    """Ask nvJPEG for the GPU's JPEG engines; A100 and later data-centre GPUs have them."""
    nvjpeg = _load_nvjpeg()
    if nvjpeg is None:
        return Finding(what="NVJPG", state=NOTE, found="libnvjpeg not found", remedy="pip install nvidia-nvjpeg-cu12")
    handle, engines, cores = ctypes.c_void_p(), ctypes.c_uint(0), ctypes.c_uint(0)
    if nvjpeg.nvjpegCreateSimple(ctypes.byref(handle)) != 0:
        return Finding(what="NVJPG", state=NOTE, found="nvJPEG does not start", remedy="Update NVIDIA's driver.")
    refused = nvjpeg.nvjpegGetHardwareDecoderInfo(handle, ctypes.byref(engines), ctypes.byref(cores))
    nvjpeg.nvjpegDestroy(handle)
    if refused or not engines.value:
        return Finding(
            what="NVJPG", state=NOTE, found="no engines", remedy="JPEG is decoded by the GPU's general cores."
        )
    return Finding(what="NVJPG", state=OK, found=f"{engines.value} engines, {cores.value} cores each")


def _load_nvjpeg() -> ctypes.CDLL | None:
    """Load the library from where pip puts it, else from the system."""
    places = ["libnvjpeg.so.13", "libnvjpeg.so.12", "libnvjpeg.so"]
    for distribution in ("nvidia-nvjpeg", "nvidia-nvjpeg-cu12"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            files = importlib.metadata.files(distribution) or []
            places += [str(file.locate()) for file in files if file.name.startswith("libnvjpeg.so")]
    for place in places:
        with contextlib.suppress(OSError):
            return ctypes.CDLL(place)
    return None
