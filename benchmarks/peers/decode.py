"""JPEG files of a folder, read, decoded and resized to 224 in one way: pictures per second, and the pixels if asked.

Ways: `pillow`, `draft` (Pillow, scaled to at least twice the target), `simplejpeg`, `simplejpeg-scaled`, `torchvision`,
`opencv` (resizing by area). All resize the shorter side to size / 0.875 and cut out the middle.
"""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from common import arguments, tell
from PIL import Image

asked = arguments(files="", way="pillow", threads=1, out="", size=224, repeat=1)
SIZE, TARGET = asked.size, round(asked.size / 0.875)


def with_pillow(image: Image.Image) -> np.ndarray:
    width, height = image.size
    part = SIZE / TARGET * min(width, height)
    left, top = (width - part) / 2, (height - part) / 2
    box = (left, top, left + part, top + part)
    return np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))


def pillow(raw: bytes) -> np.ndarray:
    return with_pillow(Image.open(io.BytesIO(raw)))


def draft(raw: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(raw))
    image.draft("RGB", (2 * TARGET, 2 * TARGET))
    return with_pillow(image)


def simplejpeg(raw: bytes) -> np.ndarray:
    import simplejpeg

    return with_pillow(Image.fromarray(simplejpeg.decode_jpeg(raw, "RGB")))


def simplejpeg_scaled(raw: bytes) -> np.ndarray:
    import simplejpeg

    return with_pillow(
        Image.fromarray(simplejpeg.decode_jpeg(raw, "RGB", min_height=2 * TARGET, min_width=2 * TARGET, min_factor=1))
    )


def torchvision(raw: bytes) -> np.ndarray:
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms.v2 import functional as F

    torch.set_num_threads(1)
    image = decode_jpeg(torch.frombuffer(bytearray(raw), dtype=torch.uint8), mode=ImageReadMode.RGB)
    return F.center_crop(F.resize(image, [TARGET], antialias=True), [SIZE, SIZE]).permute(1, 2, 0).numpy()


def opencv(raw: bytes) -> np.ndarray:
    import cv2

    cv2.setNumThreads(1)
    image = cv2.cvtColor(cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    scale = TARGET / min(image.shape[:2])
    width, height = (max(TARGET, round(scale * side)) for side in (image.shape[1], image.shape[0]))
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (width - SIZE) // 2, (height - SIZE) // 2
    return image[top : top + SIZE, left : left + SIZE]


WAYS = {
    "pillow": pillow, "draft": draft, "simplejpeg": simplejpeg, "simplejpeg-scaled": simplejpeg_scaled,
    "torchvision": torchvision, "opencv": opencv,
}  # fmt: skip
files = sorted(Path(asked.files).iterdir()) * asked.repeat
way = WAYS[asked.way]
way(files[0].read_bytes())
begun, spent = time.perf_counter(), time.process_time()
with ThreadPoolExecutor(asked.threads) as pool:
    pixels = list(pool.map(lambda path: way(path.read_bytes()), files, chunksize=8))
wall, spent = time.perf_counter() - begun, time.process_time() - spent
if asked.out:
    np.save(asked.out, np.stack(pixels))
tell(rate=len(files) / wall, rate_per_core=len(files) / spent)
