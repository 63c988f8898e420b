"""Large capsules: how long capturing and verifying take, beside `sha256sum` of the same bytes, and what they weigh.

Half of the bytes are layers of an image, half are inputs; all of them are random, so nothing shrinks. A second analysis
has the same base, and a layer and an input of its own.
"""

import gzip
import io
import random
import statistics
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from recast_dm import store
from recast_dm.images import layout
from recast_dm.images.blobs import Blobs, Layer
from recast_dm.images.layout import Stored
from tests.bench import runs
from tests.bench.runs import Metered
from tests.bench.timing import BIN, table

FILES = 4
"""Layers of the image, and inputs of the analysis."""
OWN = 10_000_000
"""Bytes of the layer and of the input that the second analysis has for itself."""
BUDGET = 3600.0
RECAST = str(BIN / "recast-dm")


def measure(gigabytes: float) -> None:
    with tempfile.TemporaryDirectory(prefix="recast-dm-bench-") as name:
        place = Path(name)
        size = int(gigabytes * 1e9)
        held = write(place, size)
        capsule, file = place / "first.capsule", place / "first.capsule.zip"
        rows = [("capture, a directory", capture(place, "first", capsule.name), None)]
        rows += beside(place, "a directory", capsule, sorted(path for _, path in store.walk(capsule)))
        rows.append(("capture, a zip file", capture(place, "first", file.name), None))
        rows += beside(place, "a zip file", file, [file])
        capture(place, "second", "second.capsule")
        show(size, rows)
        weigh(capsule, place / "second.capsule", held)


# --- what is captured -------------------------------------------------------------------------------------------------


def write(place: Path, size: int) -> int:
    """Two analyses, and an OCI layout with their images. Gives the bytes of the first one's layers and inputs."""
    piece = size // (2 * FILES)
    shared = Blobs(place / "made")
    base = [_layer(shared, place, piece, number) for number in range(FILES)]
    images = [_image("bench/first:1.0", shared, base)]
    images += [_image("bench/second:1.0", shared, [*base, _layer(shared, place, OWN, FILES)])]
    layout.write(place / "oci", images, shared)
    _write_analysis(place / "first", "bench/first", [piece] * FILES)
    _write_analysis(place / "second", "bench/second", [OWN])
    return sum(layer.size for layer in base) + FILES * piece


def _image(reference: str, shared: Blobs, layers: Sequence[Layer]) -> Stored:
    config = store.canonical(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        }
    )
    shared.add(config)
    return layout.stored(reference, config, layers)


def _layer(shared: Blobs, place: Path, size: int, seed: int) -> Layer:
    """A layer with one file. gzip packs it without trying: it is random."""
    packed = place / "layer.tar.gz"
    with gzip.open(packed, "wb", compresslevel=0) as out, tarfile.open(fileobj=out, mode="w|") as archive:
        info = tarfile.TarInfo(f"opt/data/{seed}")
        info.size = size
        archive.addfile(info, _Random(size, seed))  # type: ignore[arg-type]  # it is read and nothing else
    layer = shared.add_layer(lambda: packed.open("rb"))
    packed.unlink()
    return layer


class _Random(io.RawIOBase):
    """So many random bytes, made as they are read."""

    def __init__(self, size: int, seed: int) -> None:
        self._left = size
        self._chance = random.Random(seed)

    def read(self, size: int = -1) -> bytes:
        data = self._chance.randbytes(min(self._left, size))
        self._left -= len(data)
        return data


def _pieces(size: int, seed: int) -> Iterator[bytes]:
    source = _Random(size, seed)
    while piece := source.read(store.CHUNK):
        yield piece


def _write_analysis(place: Path, image: str, sizes: Sequence[int]) -> None:
    (place / "inputs").mkdir(parents=True)
    for number, size in enumerate(sizes):
        with (place / f"inputs/{number}.bin").open("wb") as out:
            out.writelines(_pieces(size, 100 + number + len(sizes)))
    step = {
        "process": {"process_type": "string-interpolated-cmd", "cmd": "true"},
        "environment": {"environment_type": "docker-encapsulated", "image": image, "imagetag": "1.0"},
        "publisher": {"publisher_type": "frompar-pub", "outputmap": {}},
    }
    scheduler = {"scheduler_type": "singlestep-stage", "parameters": {}, "step": step}
    recast = {
        "name": place.name,
        "spec": {"workflow": "workflow.yml"},
        "example_inputs": {"default": {"initdata": {}, "dataopts": {"initdir": "inputs"}}},
    }
    workflow = {"stages": [{"name": "fit", "dependencies": [], "scheduler": scheduler}]}
    (place / "recast.yml").write_text(yaml.safe_dump(recast))
    (place / "workflow.yml").write_text(yaml.safe_dump(workflow))


# --- measuring --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long as `sha256sum` something takes."""

    times: float


Row = tuple[str, Metered, Ratio | None]


def capture(place: Path, analysis: str, output: str) -> Metered:
    words = (RECAST, "capture", analysis, "-o", output, "--images", "oci:oci", "--no-run", "--quiet")
    return runs.metered(words, place, BUDGET)


def beside(place: Path, what: str, capsule: Path, files: Sequence[Path]) -> list[Row]:
    """Both on the same bytes, in turn, three times after one that does not count."""
    ours = (RECAST, "verify", capsule.name, "--bytes", "--quiet")
    theirs = ("sha256sum", *(str(file.relative_to(place)) for file in files))
    found = [(runs.metered(ours, place, BUDGET), runs.metered(theirs, place, BUDGET)) for _ in range(4)][1:]
    ratio = statistics.median(mine.wall / other.wall for mine, other in found)
    mine, other = (statistics.median_low(column) for column in zip(*found, strict=True))
    return [(f"`verify --bytes`, {what}", mine, Ratio(ratio)), (f"`sha256sum`, {what}", other, None)]


def show(size: int, rows: Sequence[Row]) -> None:
    cells = [
        [what, f"{done.wall:.1f}", f"{ratio.times:.2f}" if ratio else "", f"{done.cpu:.1f}", f"{done.peak_mb:.0f}"]
        for what, done, ratio in rows
    ]
    table(
        f"A capsule with {size / 1e9:.3g} GB of layers and inputs",
        ("what", "s", "times `sha256sum`", "CPU s", "peak MB"),
        cells,
    )


def weigh(first: Path, second: Path, held: int) -> None:
    """Bytes beside what they hold; and of the second capsule, what the first one has not put there already."""
    together = _bytes([first, second])
    alone = _bytes([first])
    rows = [
        ("first capsule", f"{alone:,}", f"{alone / held:.4f} of its layers and inputs"),
        ("second capsule", f"{_bytes([second]):,}", f"own layer and input: {2 * OWN:,}"),
        ("second, beside the first", f"{together - alone:,}", f"{(together - alone) / (2 * OWN):.4f} of its own"),
    ]
    table("What capsules weigh", ("what", "bytes on the disk", ""), rows)


def _bytes(places: Sequence[Path]) -> int:
    """What files take, each once however many names it has."""
    files = {path.stat().st_ino: path.stat().st_size for place in places for _, path in store.walk(place)}
    return sum(files.values())
