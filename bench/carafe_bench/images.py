"""The image that is classified, and figures of classifying it."""

from pathlib import Path
from typing import Any

from carafe_bench.statistics import quantile

WIDTH, HEIGHT = 1280, 960
QUALITY = 90


def write_image(source: Path, out: Path) -> None:
    """Write a JPEG of 1280x960 from another picture, unless it is there."""
    if out.exists():
        return
    from PIL import Image

    with Image.open(source) as image:
        image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(out, quality=QUALITY)


def figures_of(images: list[dict[str, Any]]) -> dict[str, float]:
    """Return throughput, latency, and the middle time of each part, of the images of one run."""
    began, ended = min(image["sent"] for image in images), max(image["done"] for image in images)
    latencies = [1e3 * (image["done"] - image["sent"]) for image in images]
    parts = {name: quantile([image[name] for image in images], 0.5) for name in ("decode_ms", "resize_ms", "model_ms")}
    return {
        "images_per_second": len(images) / (ended - began),
        "latency_p50_ms": quantile(latencies, 0.5),
        "latency_p99_ms": quantile(latencies, 0.99),
        **parts,
    }
