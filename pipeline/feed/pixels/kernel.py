"""One Triton kernel per batch: decoded frames anywhere on the device -> the pixels of a plan.

`render.py` is the reference, clip by clip; this does the same in one launch. A frame is given by its address, so the
cache's block, a decoder's output and an upload are all read in place.

Each thread loads single bytes: neighbouring threads read the same lines of the L1 cache.
"""

from __future__ import annotations

import triton
import triton.language as tl

PIXELS = tl.constexpr(512)  # of a frame, per program


@triton.jit
def _resized(
    frame, pitch, top, left, height, width, taps_y, taps_x, y, x, inside, SIZE: tl.constexpr
):  # fmt: skip
    """Sample the box, resized to SIZE, with a triangle filter as wide as the reduction, so that no pixel is skipped."""
    scale_y, scale_x = height / SIZE, width / SIZE
    reach_y, reach_x = tl.maximum(scale_y, 1.0), tl.maximum(scale_x, 1.0)
    centre_y, centre_x = scale_y * (y + 0.5), scale_x * (x + 0.5)
    first_y = tl.maximum((centre_y - reach_y + 0.5).to(tl.int32), 0)
    first_x = tl.maximum((centre_x - reach_x + 0.5).to(tl.int32), 0)
    red, green, blue = tl.zeros_like(centre_x), tl.zeros_like(centre_x), tl.zeros_like(centre_x)
    total = tl.zeros_like(centre_x)
    for row in range(taps_y):
        at_y = first_y + row
        weight_y = tl.maximum(1.0 - tl.abs(at_y - centre_y + 0.5) / reach_y, 0.0)
        weight_y = tl.where(at_y < height, weight_y, 0.0)
        for column in range(taps_x):
            at_x = first_x + column
            weight = weight_y * tl.maximum(1.0 - tl.abs(at_x - centre_x + 0.5) / reach_x, 0.0)
            weight = tl.where(at_x < width, weight, 0.0)
            source = frame + (top + at_y) * pitch + (left + at_x) * 3
            used = inside & (weight > 0)
            red += weight * tl.load(source, mask=used, other=0).to(tl.float32)
            green += weight * tl.load(source + 1, mask=used, other=0).to(tl.float32)
            blue += weight * tl.load(source + 2, mask=used, other=0).to(tl.float32)
            total += weight
    total = tl.maximum(total, 1e-6)  # outside the picture the sum of weights is 0
    return _whole(red / total), _whole(green / total), _whole(blue / total)


@triton.jit
def _whole(value):
    """Round and clamp to the range of a byte."""
    return tl.minimum(tl.maximum(tl.floor(value + 0.5), 0.0), 255.0)


@triton.jit
def _within(place, SIZE: tl.constexpr):
    """Mirror a place into the picture, about the edges of its outermost pixels; one reflection is enough."""
    place = tl.abs(place + 0.5) - 0.5
    place = tl.where(place > SIZE - 0.5, 2.0 * SIZE - 1.0 - place, place)
    return tl.minimum(tl.maximum(place, 0.0), SIZE - 1.0)


@triton.jit
def render(
    addresses, ids, boxes, looks, out, out_ids, frames,
    SIZE: tl.constexpr, TURNED: tl.constexpr,
):  # fmt: skip
    """Render PIXELS pixels of a frame; `frames` is the number of frames per clip."""
    number = tl.program_id(0).to(tl.int64)
    clip = number // frames
    if (tl.program_id(1) == 0) & (number % frames == 0):
        tl.store(out_ids + clip, tl.load(ids + clip))
    frame = tl.load(addresses + number).to(tl.pointer_type(tl.uint8))
    box = boxes + number * 7
    pitch, top, left = tl.load(box), tl.load(box + 1), tl.load(box + 2)
    height, width = tl.load(box + 3), tl.load(box + 4)
    taps_y, taps_x = tl.load(box + 5), tl.load(box + 6)
    look = looks + clip * 5
    flipped = tl.load(look) > 0
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < SIZE * SIZE
    y, x = pixel // SIZE, pixel % SIZE
    if TURNED:
        cosine, sine = tl.load(look + 1), tl.load(look + 2)
        across, down = (2.0 * x + 1.0) / SIZE - 1.0, (2.0 * y + 1.0) / SIZE - 1.0
        from_x = _within(((cosine * across - sine * down + 1.0) * SIZE - 1.0) / 2.0, SIZE)
        from_y = _within(((sine * across + cosine * down + 1.0) * SIZE - 1.0) / 2.0, SIZE)
        left_x, upper_y = from_x.to(tl.int32), from_y.to(tl.int32)
        right, lower = from_x - left_x, from_y - upper_y
        red, green, blue = tl.zeros_like(from_x), tl.zeros_like(from_x), tl.zeros_like(from_x)
        for corner in range(4):
            at_x, at_y = left_x + corner % 2, upper_y + corner // 2
            share_x = tl.where(corner % 2 == 1, right, 1.0 - right)
            share_y = tl.where(corner // 2 == 1, lower, 1.0 - lower)
            share = share_x * share_y
            there = inside & (at_x < SIZE) & (at_y < SIZE)
            plain_x = tl.where(flipped, SIZE - 1 - at_x, at_x)
            one, two, three = _resized(
                frame, pitch, top, left, height, width, taps_y, taps_x, at_y, plain_x, there, SIZE
            )
            share = tl.where(there, share, 0.0)
            red, green, blue = red + share * one, green + share * two, blue + share * three
        red, green, blue = _whole(red), _whole(green), _whole(blue)
    else:
        plain_x = tl.where(flipped, SIZE - 1 - x, x)
        if (height == SIZE) & (width == SIZE):
            source = frame + (top + y) * pitch + (left + plain_x) * 3
            red = tl.load(source, mask=inside, other=0).to(tl.float32)
            green = tl.load(source + 1, mask=inside, other=0).to(tl.float32)
            blue = tl.load(source + 2, mask=inside, other=0).to(tl.float32)
        else:
            red, green, blue = _resized(
                frame, pitch, top, left, height, width, taps_y, taps_x, y, plain_x, inside, SIZE
            )
    brightness, contrast = tl.load(look + 3), tl.load(look + 4)
    lifted = 127.5 * (1.0 - contrast)
    target = out + (number * SIZE * SIZE + pixel) * 3
    tl.store(target, _whole((red * contrast + lifted) * brightness).to(tl.uint8), mask=inside)
    tl.store(target + 1, _whole((green * contrast + lifted) * brightness).to(tl.uint8), mask=inside)
    tl.store(target + 2, _whole((blue * contrast + lifted) * brightness).to(tl.uint8), mask=inside)
