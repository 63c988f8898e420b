"""Tampers: one random change to a sound capsule, which `verify --bytes` finds, and whoever opens it before use.

A small capsule with everything that one may hold is made once: as a directory, a zip and a tar file. A trial copies
one of them, changes it (what leaves every byte, name, kind and executable bit as it was is no change, and another one
is taken), and looks with `check_bytes` and `open_capsule`: without a cache, with an empty one, or with one that knows
the capsule from before, its times set back. Every eighth trial first does what is no tamper: copies, times, modes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import tarfile
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recast_dm import reinterpret
from recast_dm.backends.local import Local
from recast_dm.capsule import bag, fixity, layout, open_capsule, packing, verify
from recast_dm.capsule.capture import Contents, capture
from recast_dm.errors import RecastError, UsageError
from recast_dm.images import sources
from recast_dm.images.blobs import Blobs
from recast_dm.images.fake import FakeSource
from recast_dm.reinterpret import preserve
from recast_dm.runtimes import Job
from recast_dm.runtimes.fake import FakeRuntime
from recast_dm.spec import analysis

NAME = "tampers"
TOTAL = 10_000
SMALL = 2_000_000
PATIENCE = 30
"""Seconds after which a trial hangs."""
IMAGES = ("recast-dm/first:1.0", "recast-dm/second:1.0")


# --- the capsule ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kit:
    """The sound capsule in its three forms, and its manifest."""

    place: Path
    manifest: dict[str, Any]

    def form(self, suffix: str) -> Path:
        return self.place / f"small.capsule{suffix}"


_kits: list[Kit] = []


@contextlib.contextmanager
def setup() -> Iterator[None]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as place:
        _kits.append(made(Path(place)))
        try:
            yield
        finally:
            _kits.pop()


def made(place: Path) -> Kit:
    """Captures a small analysis with two images, a git history, and a reference run."""
    source = place / "source"
    _write_analysis(source)
    loaded = analysis.load(source)
    initdata = reinterpret.example_inputs(loaded)
    shared = Blobs(place / "images")
    images = sources.collect(IMAGES, [FakeSource(IMAGES)], shared)
    backend = Local(runtime=FakeRuntime(dict.fromkeys(IMAGES, _program)), jobs=1, cache=None)
    perform = preserve.reference_run(loaded, initdata, images, backend, place / "run", lambda _: None)
    contents = Contents(
        analysis=loaded, example=initdata, images=images, shared=shared, runtime="a test", perform=perform
    )
    kit = Kit(place, dict(capture(contents, place / "small.capsule").manifest))
    for suffix in (".zip", ".tar"):
        packing.pack(kit.form(""), kit.form(suffix))
        assert kit.form(suffix).stat().st_size < SMALL
    for part in (layout.SOURCE, layout.REFERENCE, layout.RUN, layout.SBOM, layout.IMAGES, layout.CRATE):
        assert (kit.form("") / part).exists(), part
    return kit


def _write_analysis(place: Path) -> None:
    def stage(name: str, needs: str, image: str) -> dict[str, Any]:
        title, _, tag = image.partition(":")
        return {
            "name": name,
            "dependencies": [needs],
            "scheduler": {
                "scheduler_type": "singlestep-stage",
                "parameters": {"mass": {"step": "init", "output": "mass"}, "out": "{workdir}/out.json"},
                "step": {
                    "process": {"process_type": "string-interpolated-cmd", "cmd": "fit {mass} > {out}"},
                    "environment": {"environment_type": "docker-encapsulated", "image": title, "imagetag": tag},
                    "publisher": {"publisher_type": "interpolated-pub", "publish": {"out": "{out}"}},
                },
            },
        }

    recast = {
        "name": "small",
        "metadata": {"title": "A small analysis", "authors": ["The recast-dm developers"]},
        "spec": {"workflow": "workflow.yml"},
        "example_inputs": {"default": {"initdata": {"mass": 500}, "dataopts": {"initdir": "inputs"}}},
        "results": [{"name": "fit", "relpath": "fit/out.json"}, {"name": "yields", "relpath": "yields/out.json"}],
    }
    stages = [stage("yields", "init", IMAGES[0]), stage("fit", "yields", IMAGES[1])]
    files = {
        "recast.yml": yaml.safe_dump(recast),
        "workflow.yml": yaml.safe_dump({"stages": stages}),
        "inputs/fit.sh": "#!/bin/sh\necho fit\n",
        "inputs/deep/er/naïve cut.txt": "a name with an accent\n",
        "inputs/empty": "",
        "README": "what one should know\n",
    }
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    large = random.Random(1).randbytes(fixity.LARGE + 10_000)  # which may be taken as it is when nobody has touched it
    (place / "inputs/events.bin").write_bytes(large)
    (place / "inputs/fit.sh").chmod(0o755)
    shutil.copy2(place / "inputs/fit.sh", place / "inputs/twin.sh")
    _commit(place)


def _commit(place: Path) -> None:
    names = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    (place / ".gitignore").write_text("*.bin\n")
    for words in (("init", "--quiet"), ("add", "."), (*names, "commit", "--quiet", "-m", "all")):
        subprocess.run(["git", "-C", str(place), *words], check=True, stdin=subprocess.DEVNULL)


def _program(job: Job) -> int:
    (job.workdir / "out.json").write_text('{"events": 12}\n')
    return 0


# --- trials -----------------------------------------------------------------------------------------------------------


def one(seed: int) -> str | None:
    kit = _kits[-1]
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=kit.place) as name, _patience():
        place = Path(name)
        suffix = chance.choice(["", "", ".zip", ".tar"])
        target = place / f"small.capsule{suffix}"
        if seed % 8 == 0 and (wrong := _harmless(kit, place, suffix, chance)):
            return wrong
        cache = place / "cache" if suffix or chance.random() < 0.5 else None
        _copy(kit.form(suffix), target)
        named = target
        if chance.random() < 0.1:
            named = place / f"link{suffix}"
            named.symlink_to(target.name)
        if cache and chance.random() < 0.25:
            time.sleep(2 * fixity.TICK / 1e9)
            open_capsule(named, cache)
        times = {path: path.lstat() for path in [target, *target.rglob("*")]}
        what = _changed(kit, target, chance)
        for path, status in times.items():  # no tamper tells by its time alone
            if os.path.lexists(path):
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
        missed = [
            *(["check_bytes"] if not _found(named) else []),
            *(["open_capsule"] if not _refused(named, cache) else []),
        ]
        return f"{what} of {target.name}: not found by {' and '.join(missed)}" if missed else None


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    def hangs(*_: object) -> None:
        raise TimeoutError(f"not done after {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def _found(target: Path) -> bool:
    """Whether `verify --bytes` finds something: a list of problems; or that there is no capsule at all."""
    try:
        return not verify.check_bytes(target).ok
    except UsageError:
        return True


def _refused(target: Path, cache: Path | None) -> bool:
    try:
        open_capsule(target, cache)
    except RecastError as error:
        return error.exit_code in (2, 5)
    return False


def _changed(kit: Kit, target: Path, chance: random.Random) -> str:
    """Applies tampers until something is another: says which one was the last."""
    before = _state(target)
    while True:
        if target.is_dir():
            tamper = chance.choice(DIRECTORY)
        else:
            tamper = chance.choice([*ARCHIVE, *(_repacked for _ in range(4))])
        with contextlib.suppress(_NotHere, OSError):
            said = tamper(target, chance)
            if _state(target) != before:
                return f"{tamper.__name__.lstrip('_')}{f' ({said})' if said else ''}"


def _state(target: Path) -> dict[str, tuple[int, bytes, bool]]:
    """Whatever of a capsule counts: names, kinds, bytes, and who may be executed."""
    found = {}
    for path in [target, *target.rglob("*")]:
        status = path.lstat()
        kind = stat.S_IFMT(status.st_mode)
        content = b""
        if stat.S_ISREG(kind):
            content = hashlib.sha256(path.read_bytes()).digest()
        elif stat.S_ISLNK(kind):
            content = os.fsencode(path.readlink())
        executable = stat.S_ISREG(kind) and bool(status.st_mode & 0o100) and not target.is_file()
        found[str(path)] = (kind, content, executable)
    return found


# --- what is no tamper ------------------------------------------------------------------------------------------------


def _harmless(kit: Kit, place: Path, suffix: str, chance: random.Random) -> str | None:
    """A copy that is as good as the original, whatever made it."""
    copy = place / f"copy.capsule{suffix}"
    ways: list[Callable[[Path, Path], object]] = [_cp("-a"), _cp("-r"), _masked(0o077), _masked(0o002), _touched]
    ways += [_linked, _writable] if not suffix else [_linked]
    way = chance.choice(ways)
    way(kit.form(suffix), copy)
    check = verify.check_bytes(copy)
    if not check.ok:
        return f"a copy ({way.__name__}{suffix}) is not taken: {check.problems[0]}"
    if chance.random() < 0.2:
        open_capsule(copy, place / "other-cache")
    return None


def _cp(option: str) -> Callable[[Path, Path], object]:
    def cp(source: Path, target: Path) -> None:
        subprocess.run(["cp", option, str(source), str(target)], check=True)

    return cp


def _masked(mask: int) -> Callable[[Path, Path], object]:
    def umask(source: Path, target: Path) -> None:
        before = os.umask(mask)
        try:
            subprocess.run(["cp", "-r", "--no-preserve=ownership,timestamps", str(source), str(target)], check=True)
        finally:
            os.umask(before)

    return umask


def _touched(source: Path, target: Path) -> None:
    _copy(source, target)
    for path in [target, *target.rglob("*")]:
        os.utime(path, (1, 1))


def _writable(source: Path, target: Path) -> None:
    _copy(source, target)
    for path in target.rglob("*"):
        path.chmod(path.stat().st_mode | 0o222)


def _linked(source: Path, target: Path) -> None:
    """The capsule's own name is a link; and its files have second names elsewhere."""
    elsewhere = target.with_name("elsewhere")
    if source.is_dir():
        shutil.copytree(source, elsewhere, copy_function=os.link)
    else:
        os.link(source, elsewhere)
    target.symlink_to(elsewhere)


# --- tampering with a directory ---------------------------------------------------------------------------------------


class _NotHere(Exception):
    """This tamper has nothing to act on here."""


NAMES = (
    *("x", ".hidden", "a b", " ", "-rf", "é", "e\u0301", "%", "%0A", "a\nb", "a\rb", "a\u2028b", "...", "~", "\\", "*"),
    *("capsule.json", "capsule.json~", "CAPSULE.JSON", "bagit.txt", "manifest-sha512.txt", "manifest-sha256.txt"),
    *("tagmanifest-md5.txt", "fetch.txt", "data", "recast.yml", "__pycache__", ".git", "a" * 255, "b\udcff", "\x1b[2J"),
)


def _files(root: Path, under: str = "") -> list[Path]:
    return sorted(path for path in (root / under).rglob("*") if path.is_file() and not path.is_symlink())


def _a_file(root: Path, chance: random.Random, under: str = "") -> Path:
    """A regular file, that may be written to; now and then by what it weighs."""
    files = _files(root, under)
    if not files:
        raise _NotHere
    weights = [path.stat().st_size + 1 for path in files] if chance.random() < 0.2 else None
    path = chance.choices(files, weights)[0]
    path.chmod(path.stat().st_mode | 0o200)
    return path


def _a_directory(root: Path, chance: random.Random) -> Path:
    return chance.choice([root, *sorted(path for path in root.rglob("*") if path.is_dir())])


def _a_name(root: Path, chance: random.Random) -> Path:
    """A new name in a random directory."""
    path = _a_directory(root, chance) / chance.choice(NAMES)
    if os.path.lexists(path):
        raise _NotHere
    return path


def _content(root: Path, chance: random.Random) -> bytes:
    return chance.choice([b"", b"x", b"\0" * 4096, chance.randbytes(100), _a_file(root, chance).read_bytes()])


def _flip(root: Path, chance: random.Random) -> str:
    path = _a_file(root, chance)
    data = bytearray(path.read_bytes())
    if not data:
        raise _NotHere
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return path.name


def _truncate(root: Path, chance: random.Random) -> str:
    path = _a_file(root, chance)
    size = path.stat().st_size
    os.truncate(path, chance.choice([0, max(0, size - 1), chance.randint(0, size)]))
    return path.name


def _append(root: Path, chance: random.Random) -> str:
    path = _a_file(root, chance)
    path.write_bytes(path.read_bytes() + chance.choice([b"\n", b" ", b"\0", b"\r\n", chance.randbytes(10)]))
    return path.name


def _insert(root: Path, chance: random.Random) -> str:
    path = _a_file(root, chance)
    data, at = path.read_bytes(), chance.randint(0, path.stat().st_size)
    path.write_bytes(data[:at] + chance.choice([b"\n", b" ", chance.randbytes(3)]) + data[at:])
    return path.name


def _overwrite(root: Path, chance: random.Random) -> str:
    """As many bytes as before."""
    path = _a_file(root, chance)
    data = bytearray(path.read_bytes())
    at = chance.randint(0, len(data))
    end = min(len(data), at + chance.choice([1, 16, 4096]))
    data[at:end] = chance.choice([bytes(end - at), chance.randbytes(end - at)])
    path.write_bytes(data)
    return path.name


def _swap(root: Path, chance: random.Random, under: str = "") -> str:
    first, second = _a_file(root, chance, under), _a_file(root, chance, under)
    if first == second:
        raise _NotHere
    between = root.parent / "between"
    first.rename(between)
    second.rename(first)
    between.rename(second)
    return f"{first.name}, {second.name}"


def _swap_blobs(root: Path, chance: random.Random) -> str:
    return _swap(root, chance, f"{layout.IMAGES}/blobs")


def _remove(root: Path, chance: random.Random) -> str:
    path = _a_file(root, chance)
    path.unlink()
    return path.name


def _remove_directory(root: Path, chance: random.Random) -> str:
    path = _a_directory(root, chance)
    shutil.rmtree(path)
    if path == root or chance.random() < 0.5:
        path.mkdir()
    return path.name


def _add(root: Path, chance: random.Random) -> str:
    path = _a_name(root, chance)
    path.write_bytes(_content(root, chance))
    return repr(path.name)


def _add_deeper(root: Path, chance: random.Random) -> str:
    path = _a_name(root, chance)
    path.mkdir()
    (path / chance.choice(NAMES)).write_bytes(_content(root, chance))
    return repr(path.name)


def _add_directory(root: Path, chance: random.Random) -> str:
    path = _a_name(root, chance)
    (path / "deeper" if chance.random() < 0.3 else path).mkdir(parents=True)
    return repr(path.name)


def _rename(root: Path, chance: random.Random) -> str:
    path, target = _a_file(root, chance), _a_name(root, chance)
    if chance.random() < 0.4:
        target = path.with_name(chance.choice([path.name.swapcase(), f"{path.name} ", f".{path.name}", "e\u0301"]))
    if os.path.lexists(target):
        raise _NotHere
    path.rename(target)
    return f"{path.name}, {target.name!r}"


def _rename_directory(root: Path, chance: random.Random) -> str:
    path, target = _a_directory(root, chance), _a_name(root, chance)
    if path == root or target.is_relative_to(path):
        raise _NotHere
    path.rename(target)
    return f"{path.name}, {target.name!r}"


def _executable(root: Path, chance: random.Random) -> str:
    path = _a_file(root, chance)
    path.chmod(path.stat().st_mode ^ 0o111)
    return path.name


def _link(root: Path, chance: random.Random) -> str:
    """A link instead of a file: to its own bytes elsewhere, to another file, or to nothing."""
    path = _a_file(root, chance)
    outside = root.parent / "outside"
    shutil.copy2(path, outside)
    other = os.path.relpath(_a_file(root, chance), path.parent)
    path.unlink()
    path.symlink_to(chance.choice([outside, "../" * 10, "nowhere", other, "/etc/passwd", "/dev/zero", path.name]))
    return path.name


def _link_directory(root: Path, chance: random.Random) -> str:
    path = _a_directory(root, chance)
    if path == root:
        raise _NotHere
    outside = root.parent / "outside"
    path.rename(outside)
    path.symlink_to(chance.choice([outside, os.path.relpath(outside, path.parent)]))
    return path.name


def _add_link(root: Path, chance: random.Random) -> str:
    path = _a_name(root, chance)
    path.symlink_to(chance.choice(["..", ".", "/", "/etc/passwd", "nowhere", str(_a_file(root, chance))]))
    return repr(path.name)


def _special(root: Path, chance: random.Random) -> str:
    """A pipe, a socket or a device: nobody must wait for it."""
    path = _a_name(root, chance)
    if chance.random() < 0.5:
        path = _a_file(root, chance)
        path.unlink()
    kind = chance.choice([stat.S_IFIFO, stat.S_IFSOCK, *([stat.S_IFCHR] if os.getuid() == 0 else [])])
    os.mknod(path, kind | 0o644, os.makedev(1, 5))
    return f"{path.name!r}, {kind:o}"


def _file_to_directory(root: Path, chance: random.Random) -> str:
    path = _a_file(root, chance)
    data = path.read_bytes()
    path.unlink()
    path.mkdir()
    if chance.random() < 0.5:
        (path / path.name).write_bytes(data)
    return path.name


# --- tampering with the documents -------------------------------------------------------------------------------------


def _document(root: Path, chance: random.Random) -> str:
    """capsule.json as other programs would write it; or another one."""
    path = root / layout.MANIFEST
    data = path.read_bytes()
    manifest = json.loads(data)
    way = chance.randrange(10)
    if way == 0:
        data = json.dumps(manifest, indent=chance.choice([None, 0, 1, 4]), ensure_ascii=False).encode()
    elif way == 1:
        data = json.dumps(dict(sorted(manifest.items())), indent=2, ensure_ascii=False).encode() + b"\n"
    elif way == 2:
        data = json.dumps(dict(reversed(manifest.items())), indent=2, ensure_ascii=False).encode() + b"\n"
    elif way == 3:
        key = chance.choice(list(manifest))
        data = data.replace(b"{\n", f'{{\n  "{key}": {json.dumps(chance.choice([0, None, "x"]))},\n'.encode(), 1)
    elif way == 4:
        letter = chance.choice("abcdest")
        data = data.replace(letter.encode(), f"\\u{ord(letter):04x}".encode(), chance.choice([1, 5]))
    elif way == 5:
        data = chance.choice([b"\xef\xbb\xbf" + data, b" " + data, data + b"\n", data[:-1], data.replace(b"\n", b"\r")])
    elif way == 6:
        data = data.decode().encode(chance.choice(["utf-16", "utf-32", "utf-16-le"]))
    else:
        _alter(manifest, chance)
        if way == 9:
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                manifest["digest"] = layout.digest(manifest)
        data = json.dumps(manifest, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
    _write(path, data)
    return str(way)


_VALUES = (
    *(None, True, False, 0, 1, -1, 1.5, 1e400, float("nan"), 10**30, "", "x", "..", "/etc", "\ud800", "\0", [], {}),
    *([1], {"x": 1}, ["data/../../etc/passwd"], "sha256:" + "0" * 64, "0" * 64),
)


def _alter(manifest: dict[str, Any], chance: random.Random) -> None:
    """Somewhere in a document, another value, one less, or one more."""
    place: Any = manifest
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            raise _NotHere
        key = chance.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and chance.random() < 0.8:
            place = place[key]
            continue
        way = chance.randrange(4)
        if way == 0:
            del place[key]
        elif way == 1 and isinstance(place, dict):
            place[chance.choice(["x", "schema", "path", ""])] = chance.choice(_VALUES)
        elif way == 1:
            place.append(place[key])
        else:
            place[key] = chance.choice(_VALUES)
        return


def _rows(root: Path, chance: random.Random) -> str:
    """A manifest of the bag that says the same in another form, or something else."""
    path = root / chance.choice([bag.MANIFEST, bag.TAG_MANIFEST])
    rows = path.read_bytes().splitlines(keepends=True)
    at = chance.randrange(len(rows))
    row = rows[at]
    other = chance.randbytes(64).hex().encode()
    instead = (
        *((b"\n", row), (row, row), (), (row[:128].upper() + row[128:],), (other + row[128:],), (b"#" + row,)),
        *((row[:128] + gap + row[130:],) for gap in (b" ", b"\t", b"   ", b" *", b"  ./")),
    )
    forms = [[*rows[:at], *each, *rows[at + 1 :]] for each in instead]
    forms += [
        chance.sample(rows, len(rows)),
        [each.replace(b"\n", b"\r\n") for each in rows],
        [*rows, b"0" * 128 + b"  data/analysis/nowhere\n"],
        [*rows[:-1], rows[-1].rstrip(b"\n")],
    ]
    way = chance.randrange(len(forms))
    _write(path, b"".join(forms[way]))
    return f"{path.name}, {way}"


def _tag_file(root: Path, chance: random.Random) -> str:
    path = root / chance.choice([bag.DECLARATION, bag.INFO, layout.CAPTURED, layout.RERUN])
    data = path.read_bytes()
    other = (
        *(data.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + data, data.replace(b": ", b":"), data + b"X-More: 1\n"),
        *(data.replace(b"1.0", b"0.97"), data.replace(b"UTF-8", b"utf-8"), data.replace(b"e", b"E", 1), b"\n" + data),
    )
    _write(path, chance.choice(other))
    return path.name


def _write(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


# --- tampers that put the bag's manifests right -----------------------------------------------------------------------


def _bagged_again(root: Path, *, tags: bool = True) -> None:
    """Writes the manifests of what is there: every tool for bags is content with it."""
    entries = bag.read(bag.members(root))
    _write(root / bag.MANIFEST, bag.manifest(entries, payload=True))
    if tags:
        entries = bag.read(bag.members(root))
        _write(root / bag.TAG_MANIFEST, bag.manifest(entries, payload=False))


def _one_manifest(root: Path, chance: random.Random) -> str:
    """The payload's manifest agrees with a changed payload; the manifest of the tag files does not know."""
    said = chance.choice(_CONTENT)(root, chance)
    try:
        _bagged_again(root, tags=False)
    except RecastError:
        raise _NotHere from None
    return said


def _both_manifests(root: Path, chance: random.Random) -> str:
    """The digest covers this file, or its name is its hash: both manifests agree with the change."""
    covered = [path for path in _files(root) if layout.is_covered(str(path.relative_to(root)))]
    path = chance.choice([*covered, *_files(root, f"{layout.IMAGES}/blobs")])
    path.chmod(path.stat().st_mode | 0o200)
    way = chance.choice(["flip", "remove", "executable", "add", "rename"])
    if way == "flip":
        data = bytearray(path.read_bytes() or b"x")
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
    elif way == "remove":
        if path.name in _ours(root):
            raise _NotHere
        path.unlink()
    elif way == "executable":
        path.chmod(path.stat().st_mode ^ 0o111)
    elif way == "add":
        (root / layout.ANALYSIS / chance.choice(["x", ".hidden", "inputs/more"])).write_bytes(b"x")
    else:
        if path.name in _ours(root):
            raise _NotHere
        path.rename(path.with_name(f"{path.name}x"))
    _bagged_again(root)
    return f"{way}, {path.name}"


def _ours(root: Path) -> frozenset[str]:
    """The OCI manifests, which are ours: the images' digests cover configs and layers."""
    index = json.loads((root / layout.IMAGES / "index.json").read_bytes())
    return frozenset(each["digest"][7:] for each in index["manifests"])


def _document_bagged_again(root: Path, chance: random.Random) -> str:
    """Another value in capsule.json, and a bag that agrees with it: the digest does not."""
    path = root / layout.MANIFEST
    manifest = json.loads(path.read_bytes())
    before = layout.digest(manifest)
    _alter(manifest, chance)
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        if layout.digest(manifest) == before and manifest["digest"] == before:
            raise _NotHere
    _write(path, _pretty(manifest))
    _bagged_again(root)
    return ""


def _pretty(document: Any) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


_CONTENT = (_flip, _truncate, _append, _insert, _overwrite, _swap, _swap_blobs, _remove, _add, _rename)
_DOCUMENTS = (_document, _document, _rows, _rows, _tag_file, _one_manifest, _both_manifests, _document_bagged_again)
_TREES = (_remove_directory, _add_deeper, _add_directory, _rename_directory, _executable, _link, _link_directory)
Tamper = Callable[[Path, random.Random], str]
DIRECTORY: tuple[Tamper, ...] = (*_CONTENT, *_DOCUMENTS, *_TREES, _add_link, _special, _file_to_directory)


# --- tampering with an archive ----------------------------------------------------------------------------------------


def _anywhere(path: Path, chance: random.Random) -> str:
    """A bit, a byte, or some bytes: changed, more of them, or fewer. Half of the time where no contents are."""
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    if chance.random() < 0.5:
        with packing.Archive(path) as archive:
            ends = [0, *(member.offset for member in archive.members.values()), len(data)]
        at = max(0, chance.choice(ends) - chance.randrange(1, 200))
    way = chance.choice(["flip", "flip", "set", "cut", "insert", "truncate", "double"])
    size = chance.choice([1, 10, 512, 5000])
    if way == "flip":
        data[at] ^= 1 << chance.randrange(8)
    elif way == "set":
        data[at : at + size] = bytes(min(size, len(data) - at))
    elif way == "cut":
        del data[at : at + size]
    elif way == "insert":
        data[at:at] = chance.randbytes(size)
    elif way == "truncate":
        del data[at:]
    else:
        data[at:at] = data[at : at + size]
    path.write_bytes(data)
    return f"{way} at {at}"


def _around(path: Path, chance: random.Random) -> str:
    """More at the beginning or the end."""
    data = path.read_bytes()
    more = chance.choice([b"\0", b"\n", bytes(512), bytes(10240), b"#!/bin/sh\n", chance.randbytes(22), data])
    path.write_bytes(chance.choice([more + data, data + more]))
    return f"{len(more)} bytes"


def _rewritten(path: Path, chance: random.Random) -> str:
    """The same files, as another program would write them, with one thing that is not as it was."""
    with packing.Archive(path) as archive:
        members = [(each.name, archive.open(name).read(), each.executable) for name, each in archive.members.items()]
    way = chance.choice(["same", "order", "top", "mode", "time", "link", "device", "double", "comment", "packed", "up"])
    if way == "order":
        chance.shuffle(members)
    if way == "top":
        top = chance.choice(["other.capsule", "small.Capsule", "x"])
        members = [(f"{top}/{name.partition('/')[2]}", *rest) for name, *rest in members]
    if way == "double":
        members.append(chance.choice(members))
    if way == "up":
        name, data, executable = members.pop()
        bad = chance.choice(["../x", "/tmp/x", "x/../y", "small.capsule/../x", name + "/"])
        members.append((bad, data, executable))
    made = io.BytesIO()
    (_zip if path.suffix == ".zip" else _tar)(made, members, way, chance)
    path.write_bytes(made.getvalue())
    return way


def _zip(out: io.BytesIO, members: list[Any], way: str, chance: random.Random) -> None:
    odd = chance.randrange(len(members))
    method = chance.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]) if way == "packed" else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w") as archive, warnings.catch_warnings(action="ignore"):
        for number, (name, data, executable) in enumerate(members):
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            if number == odd:
                info.compress_type = method
                info.external_attr ^= 0o111 << 16 if way == "mode" else 0
                info.date_time = (2020, 1, 1, 0, 0, 0) if way == "time" else info.date_time
                if way in ("link", "device"):
                    info.external_attr = (stat.S_IFLNK if way == "link" else stat.S_IFCHR) << 16
                if way == "comment":
                    info.comment = b"x"
            archive.writestr(info, data)
        if way == "comment" and chance.random() < 0.5:
            archive.comment = b"x"


def _tar(out: io.BytesIO, members: list[Any], way: str, chance: random.Random) -> None:
    odd = chance.randrange(len(members))
    form = chance.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    mode = chance.choice(["w:gz", "w:bz2", "w:xz"]) if way == "packed" else "w"
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:  # type: ignore[call-overload]  # one of those
        for number, (name, data, executable) in enumerate(members):
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o755 if executable else 0o644, len(data)
            if number == odd:
                info.mode ^= 0o111 if way == "mode" else 0
                info.mtime = 1 if way == "time" else 0
                info.uname = "root" if way == "comment" else ""
                if way in ("link", "device"):
                    links = [tarfile.SYMTYPE, tarfile.LNKTYPE]
                    info.type = chance.choice(links) if way == "link" else tarfile.CHRTYPE
                    info.linkname, info.size = chance.choice(["/etc/passwd", "../x", members[0][0]]), 0
            archive.addfile(info, io.BytesIO(data[: info.size]))


def _repacked(path: Path, chance: random.Random) -> str:
    """A tampered directory, packed as we pack: the archive is in its one form, its contents are not."""
    unpacked = path.with_name("unpacked.capsule")
    if not unpacked.exists():
        with packing.Archive(path) as archive:
            archive.unpack(unpacked)
    before = _state(unpacked)
    tamper = chance.choice(DIRECTORY)
    said = tamper(unpacked, chance)
    if _state(unpacked) == before:
        raise _NotHere
    again = path.with_name(f"again{path.suffix}")
    try:
        packing.pack(unpacked, again)
    except RecastError:  # what cannot be packed is another trial's business
        shutil.rmtree(unpacked)
        raise _NotHere from None
    again.replace(path)
    return f"{tamper.__name__.lstrip('_')} {said}"


ARCHIVE: tuple[Tamper, ...] = (_anywhere, _anywhere, _anywhere, _anywhere, _around, _rewritten, _rewritten, _rewritten)
