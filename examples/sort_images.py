"""Sorts pictures into folders by what they show, or with no --move lists what would go where.

Needs nothing but Python. The bundled classifier knows the 1,000 labels of ImageNet; what it is unsure of goes to `unsure`.

    python examples/sort_images.py images
    python examples/sort_images.py holiday-pictures --move
"""

import argparse
import json
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

ENDINGS = (".bmp", ".jpeg", ".jpg", ".png")
UNSURE = "unsure"


def classify(url: str, picture: Path) -> dict:
    """Return the most probable label of a picture, with its probability."""
    headers = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(f"{url}/v1/classify?top=1", data=picture.read_bytes(), headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["labels"][0]


def folder_of(label: dict, least: float) -> str:
    """Return the name of the folder for a label: `Egyptian cat` is `egyptian-cat`."""
    if label["probability"] < least:
        return UNSURE
    return re.sub(r"[^a-z0-9]+", "-", label["label"].split(",")[0].lower()).strip("-")


def main() -> int:
    parser = argparse.ArgumentParser(description="Sorts pictures into folders by what they show.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--move", action="store_true", help="move them; without this they are only listed")
    parser.add_argument("--least", type=float, default=0.3, help="probability below which a label is not believed")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    options = parser.parse_args()
    failed = 0
    for picture in sorted(path for path in options.folder.iterdir() if path.suffix.lower() in ENDINGS):
        try:
            label = classify(options.url, picture)
        except urllib.error.HTTPError as error:
            # a file that is no picture, or lacks a part of it, stays where it is
            print(f"{picture.name}: {json.load(error)['error']['message']}", file=sys.stderr)
            failed += 1
            continue
        place = options.folder / folder_of(label, options.least)
        print(f"{picture.name} -> {place.name}  ({label['label']}, {label['probability']:.0%})")
        if options.move:
            place.mkdir(exist_ok=True)
            if (place / picture.name).exists():
                print(f"{picture.name}: there is one of this name in {place}; it stays where it is", file=sys.stderr)
                failed += 1
            else:
                picture.rename(place / picture.name)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
