"""The decoder of each codec is chosen before training, and reported with the reason."""

from __future__ import annotations

import pytest
import torch

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.errors import SettingError
from sciu.pipeline.feed.files import nvdec, routes
from sciu.pipeline.feed.files.nvdec import Capability

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
ABLE = [
    Capability(codec="h264", supported=True, engines=7, min_size=(48, 16), max_size=(4096, 4096)),
    Capability(codec="vp9", supported=True, engines=7, min_size=(128, 128), max_size=(8192, 8192)),
    Capability(codec="av1", supported=False, engines=0, min_size=(0, 0), max_size=(0, 0)),
]


def gpu() -> routes.Refusal:
    known = {capability.codec: capability for capability in ABLE}
    return lambda codec, width, height: routes._nvdec_refusal(known, codec, width, height)


def test_a_cpu_decodes_free_codecs_and_jpegs() -> None:
    assert [routes.cpu_refusal(codec, 64, 64) for codec in ("vp8", "vp9", "mjpeg")] == [None] * 3
    assert routes.cpu_refusal("hevc", 64, 64) == "DALI does not decode hevc on a CPU"


def test_a_gpu_is_asked_for_codec_and_size() -> None:
    assert gpu()("h264", 112, 112) is None
    assert gpu()("vp9", 112, 112) == "this GPU's NVDEC decodes vp9 only from 128x128 to 8192x8192"
    assert gpu()("av1", 640, 480) == "this GPU's NVDEC does not decode av1"
    assert gpu()("theora", 640, 480) == "this GPU's NVDEC does not decode theora"
    assert gpu()("mjpeg", 16, 16) is None, "its frames are JPEG files"


def test_reasons_are_counted_by_codec(faces: Dataset) -> None:
    assert routes.reasons(faces, routes.cpu_refusal, "", "2 threads") == ["28 vp9 clips: DALI, 2 threads"]
    (line,) = routes.reasons(faces, gpu(), "", "on cuda:0")
    assert line.startswith("28 vp9 clips: FFmpeg on the host, because this GPU's NVDEC decodes vp9 only from 128x128")
    assert line.endswith("8192x8192. `sciu-data pack` makes them fast to decode.")


def test_frames_need_no_video_decoder(frame_faces: Dataset) -> None:
    assert routes.reasons(frame_faces, lambda *_: "never", "on cuda:0", "") == ["28 jpeg clips: DALI, on cuda:0"]


def test_without_its_video_library_a_gpu_leaves_videos_to_the_cpu(
    faces: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvdec, "library", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (9, 0))
    chosen = routes.choose_routes(faces, GPU, "auto", 3)
    assert (chosen.pictures, chosen.videos) == (GPU, CPU)
    (line,) = chosen.reasons
    assert line.startswith("28 vp9 clips: DALI, 3 threads, because libnvcuvid.so.1 is missing. In a container set")
    assert "NVIDIA_DRIVER_CAPABILITIES=all" in line


@pytest.mark.parametrize(("capability", "where"), [((9, 0), GPU), ((8, 9), CPU)])
def test_pictures_go_to_the_gpu_where_it_has_engines_for_them(
    frame_faces: Dataset, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], where: torch.device
) -> None:
    monkeypatch.setattr(nvdec, "library", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert routes.choose_routes(frame_faces, GPU, "auto", 2).pictures == where
    assert routes.choose_routes(frame_faces, GPU, "gpu", 2).pictures == GPU
    assert routes.choose_routes(frame_faces, GPU, "cpu", 2).pictures == CPU


def test_a_wish_that_cannot_be_granted_is_refused(faces: Dataset) -> None:
    with pytest.raises(SettingError, match="decode must be auto or cpu without a GPU, but is gpu"):
        routes.choose_routes(faces, CPU, "gpu", 2)
    with pytest.raises(SettingError, match="decode must be one of auto, cpu, gpu, but is 'tpu'"):
        routes.choose_routes(faces, CPU, "tpu", 2)
