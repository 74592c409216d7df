"""The manifest's `[image]` table: what `convert` writes into it, and what a person may change
there.

Goes in: a `ClassifierSource`. Comes out: the table. A .tflite says how large its image is and what
its scores mean, but not how pictures were prepared when the model was trained: `resize`, `filter`
and `channels` are the usual choices until a person who knows better edits `model.toml`.
`label_offset` concerns no pixel and no score, so it is not looked at here.
"""

from pathlib import Path
from typing import Any

from carafe_tools.classifier_pixels import FILTERS
from carafe_tools.classifier_source import ClassifierSource
from carafe_tools.errors import require
from carafe_tools.folder import MANIFEST

CHOICES = {"channels": ("rgb", "bgr"), "resize": ("stretch", "crop"), "filter": tuple(FILTERS)}
LARGEST_RESIZE_SIDE = 8192


def image_rule(classifier: ClassifierSource) -> dict[str, Any]:
    """Return the table of a classifier whose pictures are prepared in the usual way."""
    return {
        "width": classifier.width,
        "height": classifier.height,
        "layout": "nhwc",
        **{key: choices[0] for key, choices in CHOICES.items()},
        "pixels": "raw",
        **classifier.scores,
        "label_offset": 0,
    }


def check_rule(rule: dict[str, Any], classifier: ClassifierSource, folder: Path) -> dict[str, Any]:
    """Return a folder's table if it fits the source, refusing values that are not the source's or
    not known.
    """
    allowed = {key: (value,) for key, value in image_rule(classifier).items() if key != "label_offset"} | CHOICES
    for key, values in allowed.items():
        expected = " or ".join(f"`{value}`" for value in values)
        found = rule.get(key)
        require(found in values, f"`{folder / MANIFEST}` has `{key}` `{found}` in `[image]`; {expected} was expected")
    if rule["resize"] == "crop":
        smallest, side = max(classifier.width, classifier.height), rule.get("resize_side")
        require(
            side in range(smallest, LARGEST_RESIZE_SIDE + 1),
            f"`{folder / MANIFEST}` has `resize_side` `{side}` in `[image]`; {smallest} to {LARGEST_RESIZE_SIDE} was expected",
        )
    return rule
