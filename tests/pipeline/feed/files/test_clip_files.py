"""Only the requested frames of a clip are read, and a changed file is inspected again."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from feeding import WITH_B_FRAMES, make_zoo
from helpers import cut_at_a_keyframe, make_dataset, moving_picture, write_clip, write_frames

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.importers import folder
from sciu.pipeline.dataset.media.encode import encode_jpeg, encode_video
from sciu.pipeline.dataset.media.kinds import frame_files
from sciu.pipeline.dataset.media.packed import frames_of
from sciu.pipeline.feed.files import clip_files
from sciu.pipeline.feed.files.clip_files import ClipFiles, OnHost
from sciu.pipeline.feed.files.clip_layout import Images, Video
from sciu.pipeline.feed.files.routes import cpu_refusal

WANTED = np.array([1, 2, 9], np.int32)


def one_clip(place: Path, name: str, codec: str, frames: int = 12) -> tuple[Dataset, ClipFiles]:
    if codec == "folder":
        write_frames(place / "src/train/happy" / name, moving_picture(frames))
    else:
        write_clip(place / "src/train/happy" / name, codec, frames)
    dataset = make_dataset(folder.read(place / "src"), place / "data")
    return dataset, ClipFiles(dataset, cpu_refusal)


def contents(images: Any) -> list[bytes]:
    assert isinstance(images, Images)
    return [file.tobytes() for file in images.files]


def test_a_folder_opens_the_wanted_files_only(tmp_path: Path) -> None:
    dataset, files = one_clip(tmp_path, "clip", "folder")
    for place in (0, 3, 11):
        frame_files(dataset.path(0))[place].write_bytes(b"not to be touched")
    expected = [frame_files(dataset.path(0))[number].read_bytes() for number in WANTED]
    found, opened = files.read(0, WANTED)
    assert contents(found) == expected
    assert opened == 4, "the folder, at first sight"
    assert files.read(0, WANTED)[1] == 3


def test_a_large_frame_is_read_whole(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    write_frames(tmp_path / "src/train/happy/clip", [noise, noise])
    dataset = make_dataset(folder.read(tmp_path / "src"), tmp_path / "data")
    found, _ = ClipFiles(dataset, cpu_refusal).read(0, np.array([1], np.int32))
    assert contents(found) == [encode_jpeg(noise)]
    assert len(encode_jpeg(noise)) > 1 << 16


def test_packed_frames_are_taken_out_of_one_file(tmp_path: Path) -> None:
    dataset, files = one_clip(tmp_path, "clip.zip", "jpeg")
    jpegs = frames_of(dataset.path(0).read_bytes())
    for opened in (2, 1):
        found, count = files.read(0, WANTED)
        assert contents(found) == [jpegs[number] for number in WANTED]
        assert count == opened


def test_a_video_of_jpegs_is_its_jpegs(tmp_path: Path) -> None:
    _, files = one_clip(tmp_path, "clip.mp4", "mjpeg")
    found, _ = files.read(0, WANTED)
    expected = [encode_jpeg(moving_picture(12)[number]) for number in WANTED]
    assert contents(found) == expected


def test_a_video_for_dali_is_its_whole_file(tmp_path: Path) -> None:
    dataset, files = one_clip(tmp_path, "clip.webm", "vp9")
    found, _ = files.read(0, WANTED)
    assert isinstance(found, Video)
    assert found.file.tobytes() == dataset.path(0).read_bytes()
    assert found.numbers.tolist() == [1, 2, 9]


def hiding_a_frame(video: bytes) -> bytes:
    """Clear the show bit of a VP8 video's last frame."""
    with av.open(io.BytesIO(video)) as container:
        packet = [bytes(packet) for packet in container.demux(video=0) if packet.size][-1]
    assert video.count(packet) == 1
    return video.replace(packet, bytes([packet[0] & ~0x10]) + packet[1:])


def for_nvdec(place: Path, name: str, video: bytes) -> tuple[Images | Video | OnHost, dict[int, str]]:
    """A clip's layout on a machine whose GPU decodes every codec."""
    (place / "src/train/happy").mkdir(parents=True)
    (place / "src/train/happy" / name).write_bytes(video)
    dataset = make_dataset(folder.read(place / "src"), place / "data")
    files = ClipFiles(dataset, lambda *_: None, for_nvdec=True)
    return files.read(0, WANTED)[0], files.on_host


ORDERED = {"a.mp4": WITH_B_FRAMES, "a.webm": ("libvpx", "webm", {}), "plain.avi": ("mpeg4", "avi", {})}


@pytest.mark.parametrize("name", ORDERED)
def test_a_gpu_gets_videos_that_say_in_which_order_they_are_shown(tmp_path: Path, name: str) -> None:
    found, on_host = for_nvdec(tmp_path, name, encode_video(moving_picture(12, 64, 64), *ORDERED[name]))
    assert isinstance(found, Video)
    assert not on_host


def test_a_gpu_does_not_get_videos_whose_times_mislead(tmp_path: Path) -> None:
    """AVI stores only decoding times, by which DALI would number B-frames."""
    video = encode_video(moving_picture(12, 64, 64), "libx264", "avi", {"x264-params": "bframes=3"})
    found, on_host = for_nvdec(tmp_path, "a.avi", video)
    assert isinstance(found, OnHost)
    assert on_host == {0: "the file does not store the display order of its frames"}


def test_a_gpu_does_not_get_videos_with_frames_that_are_never_shown(tmp_path: Path) -> None:
    """DALI would count such a frame."""
    video = encode_video(moving_picture(12, 64, 64), "libvpx", "webm", {})
    found, _on_host = for_nvdec(tmp_path, "a.webm", video)
    assert isinstance(found, Video)
    place = tmp_path / "data/../src/train/happy/a.webm"
    place.write_bytes(hiding_a_frame(video))
    files = ClipFiles(Dataset.load(tmp_path / "data"), lambda *_: None, for_nvdec=True)
    assert isinstance(files.read(0, WANTED)[0], OnHost)
    assert files.on_host == {0: "some of its frames are never shown"}


def test_a_gpu_does_not_get_videos_that_begin_with_frames_that_do_not_decode(tmp_path: Path) -> None:
    """An open group, cut without encoding it anew: the host reads the frames that there are, from the first one on."""
    options = {"x264-params": "keyint=8:scenecut=0:open-gop=1:bframes=3:b-adapt=0"}
    video = encode_video(moving_picture(24, 64, 64), "libx264", "mpegts", options)
    with av.open(io.BytesIO(cut_at_a_keyframe(video, "mpegts", 1))) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    found, on_host = for_nvdec(tmp_path, "a.ts", cut_at_a_keyframe(video, "mpegts", 1))
    assert isinstance(found, OnHost)
    assert on_host == {0: "some of its frames are never shown"}
    dataset = Dataset.load(tmp_path / "data")
    assert dataset.clips.frames[0] == len(shown)
    numbers = np.arange(len(shown), dtype=np.int32)
    files = ClipFiles(dataset, lambda *_: "no decoder")
    found, _ = files.read(0, numbers)
    assert isinstance(found, OnHost)
    assert np.array_equal(np.stack(files.decode(found)), np.stack(shown))


def test_what_dali_lacks_is_for_the_host(tmp_path: Path) -> None:
    dataset, files = one_clip(tmp_path, "clip.mp4", "h264")
    found, _ = files.read(0, WANTED)
    assert isinstance(found, OnHost)
    assert np.array_equal(np.stack(files.decode(found)), np.stack(dataset.read(0, WANTED.tolist())))
    assert files.on_host == {0: "DALI does not decode h264 on a CPU"}
    assert list(files._packets) == [0], "decoded from its packets"


@pytest.mark.parametrize(("codec", "name"), [("vp9", "clip.webm"), ("jpeg", "clip.zip"), ("mjpeg", "clip.mp4")])
def test_a_file_that_grew_shorter_is_looked_at_again(tmp_path: Path, codec: str, name: str) -> None:
    dataset, files = one_clip(tmp_path, name, codec)
    whole = dataset.path(0).read_bytes()
    files.read(0, WANTED)
    dataset.path(0).write_bytes(whole[: len(whole) // 2])
    with pytest.raises((DatasetError, ValueError)):
        files.read(0, WANTED)
    dataset.path(0).write_bytes(whole)
    files.read(0, WANTED)


def test_a_frame_that_is_gone_is_not_a_clip_that_is_missing(tmp_path: Path) -> None:
    dataset, files = one_clip(tmp_path, "clip", "folder")
    files.read(0, WANTED)
    gone = frame_files(dataset.path(0))[9]
    gone.unlink()
    with pytest.raises(DatasetError, match="has 11 frames, but the table says 12"):
        files.read(0, WANTED)
    gone.symlink_to("nowhere")
    with pytest.raises(DatasetError, match="a frame is a broken link"):
        files.read(0, WANTED)


def test_a_file_that_became_another_good_one_is_used(tmp_path: Path) -> None:
    dataset, files = one_clip(tmp_path, "clip.webm", "vp9", frames=12)
    files.read(0, WANTED)
    write_clip(dataset.path(0), "vp9", frames=30)
    found, _ = files.read(0, WANTED)
    assert isinstance(found, Video)
    assert found.file.tobytes() == dataset.path(0).read_bytes()


def test_a_file_shorter_than_the_table_says_is_a_fault_not_black_frames(tmp_path: Path) -> None:
    dataset, files = one_clip(tmp_path, "clip.webm", "vp9", frames=12)
    write_clip(dataset.path(0), "vp9", frames=11)
    with pytest.raises(DatasetError, match="has 11 frames, but the table says 12"):
        files.read(0, WANTED)


def test_every_kind_of_clip_can_be_read(tmp_path: Path) -> None:
    zoo = make_zoo(tmp_path)
    files = ClipFiles(zoo, cpu_refusal)
    kinds: dict[str, set[str]] = {"Images": set(), "Video": set(), "OnHost": set()}
    for clip in range(len(zoo)):
        found, _ = files.read(clip, np.array([0], np.int32))
        kinds[type(found).__name__].add(Path(zoo.clips.path[clip]).name)
    images = {"frames", "pngs", "sizes differ", "two frames", "still.jpg", "packed.zip"}
    assert kinds["Images"] == images | {"mjpeg.avi", "mjpeg.mkv", "three frames.mp4", "顔.mp4"}
    assert kinds["Video"] == {"breit.webm", "vp8 hidden frames.webm", "vp9 444.webm", "vp9.webm"}
    of_one_codec = {"444.mp4", "b-frames.avi", "b-frames.mp4", "odd size.mp4", "rate varies.mp4"}
    turned = {"sideways.mp4", "jpegs sideways.mp4"}
    assert kinds["OnHost"] == of_one_codec | turned | {"mpeg4.avi", "ten bits.mp4", "two streams.mkv"}


@pytest.mark.parametrize(("limit", "value"), [("LONG", 11), ("_LARGE", 1000)])
def test_a_long_or_large_video_is_not_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    dataset, files = one_clip(tmp_path, "clip.mp4", "mjpeg")
    usual, _ = files.read(0, WANTED)
    assert isinstance(usual, Images)
    monkeypatch.setattr(clip_files, limit, value)
    monkeypatch.setattr(clip_files, "read_file", lambda _: pytest.fail("the file was read whole"))
    monkeypatch.setattr(clip_files, "layout_of_video", lambda *_, **__: pytest.fail("the file was read whole"))
    files = ClipFiles(dataset, cpu_refusal)
    found, _ = files.read(0, WANTED)
    assert isinstance(found, OnHost)
    assert files.on_host == {0: "it is long or large, and not read whole"}
    assert len(files.decode(found)) == len(WANTED)
