"""Predict the expression in a clip with an exported file alone: numpy, Pillow, PyAV and onnxruntime, no sciu.

sciu-export runs/dfew-1 --format onnx --out model.onnx
python examples/onnx_predict.py model.onnx interview.mp4        # or a folder of frames
"""

import json
import sys
from pathlib import Path

import av
import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def pictures(path):
    """Yield the frames of a video, or of a folder of images whose names sort, as upright RGB."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
        yield from (ImageOps.exif_transpose(Image.open(file)).convert("RGB") for file in files)
        return
    with av.open(path) as container:
        for frame in container.decode(video=0):
            yield Image.fromarray(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90))


def frame_numbers(n, how, view):
    """Return which of n frames the network takes in one of its views of a clip."""
    T, chance = how["frames"], (view + 0.5) / how["views"]
    order = np.arange(T)
    if n < T:
        return (2 * order + 1) * n // (2 * T)
    if how["sampling"] == "uniform":
        return (order * (n - 1) + (T - 1) // 2) // (T - 1) if T > 1 else np.array([(n - 1) // 2])
    if how["sampling"] == "dense":
        stride = min(how["stride"], (n - 1) // max(T - 1, 1))
        return int(chance * (n - stride * (T - 1))) + stride * order
    together = 2 if how["sampling"] == "segment2" else 1  # else "segment"
    bounds = np.arange(T // together + 1) * n // (T // together)
    starts = bounds[:-1] + (chance * (np.diff(bounds) - together + 1)).astype(int)
    return np.repeat(starts, together) + order % together


def prepared(picture, how):
    """Return the largest square in the middle of a frame, in the network's size."""
    width, height = picture.size
    side = min(width, height, how["crop_at_most"] or width)
    left, top = (width - side + 1) // 2, (height - side + 1) // 2
    square = picture.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((how["size"], how["size"]), Image.Resampling.BILINEAR))


def frames_of(path, how):
    """Return what the network takes of a clip, uint8: [views, T, size, size, 3]."""
    count = sum(1 for _ in pictures(path))
    views = [frame_numbers(count, how, view) for view in range(how["views"])]
    wanted = {number for view in views for number in view.tolist()}
    found = {number: prepared(picture, how) for number, picture in enumerate(pictures(path)) if number in wanted}
    return np.stack([[found[number] for number in view.tolist()] for view in views])


def main(model, clip):
    """Print the label, the probabilities and, of a method with a weight head, the weight."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    record = json.loads(session.get_modelmeta().custom_metadata_map["sciu"])
    outputs = session.run(None, {"frames": frames_of(Path(clip), record["clip"])})
    means = dict(zip(record["outputs"], (output.mean(axis=0).tolist() for output in outputs), strict=True))
    probabilities = dict(zip(record["classes"], means.pop("probabilities"), strict=True))
    print(json.dumps({"label": max(probabilities, key=probabilities.get), "probabilities": probabilities, **means}))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print("Usage: python onnx_predict.py MODEL.onnx CLIP", file=sys.stderr)
        sys.exit(2)
    if missing := [path for path in sys.argv[1:] if not Path(path).exists()]:
        sys.exit(f"Error: '{missing[0]}' does not exist.")
    main(*sys.argv[1:])
