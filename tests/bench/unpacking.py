"""An image made a directory of: ours beside umoci, the same OCI layout, the same disk, in turns."""

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from recast_dm import store
from recast_dm.images import layout
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored
from recast_dm.images.sources import FromEngine
from tests.bench.timing import Turn, in_turns, table

IMAGES = ("recast-dm/toy:1.0", "recast-dm/cms-exo-20-004:1.0")
TARGET = 1.5
OURS = """
import sys
from pathlib import Path
from recast_dm.images.layout import Layout
from recast_dm.images.unpack import unpack
root, target = map(Path, sys.argv[1:])
[image] = Layout(root).images()
unpack(root, image.layers, target)
"""


def measure(*, quick: bool = False) -> None:
    """`quick` unpacks the small image only."""
    with tempfile.TemporaryDirectory(prefix="recast-dm-bench-") as place:
        shared = Blobs(Path(place) / "blobs")
        stored = FromEngine("docker").take(IMAGES[:1] if quick else IMAGES, shared)
        rows = [_row(Path(place), number, each, shared) for number, each in enumerate(stored.values())]
    heads = ("image", "layers, MB packed", "files", "ours, s", "`umoci unpack`, s", f"ratio (target: ≤ {TARGET})")
    table("Unpacking an image, each as a process of its own", heads, rows)


def _row(place: Path, number: int, stored: Stored, shared: Blobs) -> tuple[str, ...]:
    root = place / str(number)
    root.mkdir()
    layout.write(root, [replace(stored, image=replace(stored.image, reference="it"))], shared)
    targets = (place / "ours", place / "theirs")
    words = ((sys.executable, "-c", OURS, root, targets[0]), _umoci(root, targets[1]))
    ours, theirs = in_turns(*(_unpacking(each, target) for each, target in zip(words, targets, strict=True)))
    files = sum(len(names) for _, _, names in os.walk(targets[0]))
    for target in targets:
        store.remove(target)
    packed = f"{len(stored.layers)}, {stored.size / 1e6:.0f}"
    name = stored.image.reference
    return name, packed, f"{files:,}", f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}"


def _umoci(root: Path, target: Path) -> tuple[str | Path, ...]:
    rootless = ("--rootless",) if os.geteuid() != 0 else ()
    return ("umoci", "unpack", *rootless, "--image", f"{root}:it", target)


def _unpacking(words: tuple[str | Path, ...], target: Path) -> Turn:
    def clear() -> None:
        store.remove(target)
        os.sync()

    return clear, lambda: subprocess.run(words, check=True, capture_output=True)
