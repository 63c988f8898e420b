"""FORMAT.md says what the program does: its example, its tables, its paths; and it is a part of the package."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from recast_dm import schemas, store
from recast_dm.capsule import bag, fixity, layout

TOP = Path(__file__).parents[2]
FORMAT = TOP / "recast_dm/capsule/FORMAT.md"
TEXT = FORMAT.read_text(encoding="utf-8")
EXAMPLE = TEXT.split("```json\n")[1].split("```")[0]
CANONICAL = TEXT.split("```text\n")[1].split("\n```")[0]
KEYS = dict(re.findall(r"^\| `([^`]+)` \| (yes|no) \|", TEXT, re.MULTILINE))


class TestTheExample:
    """Made again with nothing of ours, from what the document says."""

    def test_the_digest(self):
        covered = json.loads(EXAMPLE)
        said = covered.pop("digest")
        del covered["source"]
        for image in covered["images"]:
            for key in set(image) - {"reference", "diff_ids", "platform", "config"}:
                del image[key]
        assert json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == CANONICAL
        assert hashlib.sha256(CANONICAL.encode()).hexdigest() == said

    def test_the_file(self):
        content = b"stages: []\n"
        (file,) = json.loads(EXAMPLE)["files"]
        assert file["size"] == len(content)
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["sha512"] == hashlib.sha512(content).hexdigest()

    def test_the_program_agrees(self):
        manifest = json.loads(EXAMPLE)
        assert schemas.problem("capsule-2", manifest) is None
        assert layout.digest(manifest) == manifest["digest"]
        assert store.pretty(manifest).decode() == EXAMPLE


NUMBERS = [1e-05, 0.0001, 1e16, 1e15, 12345678901234567890123, -0.0]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"b": 1, "a": 1.0, "Z": None, "é": True}, '{"Z":null,"a":1.0,"b":1,"é":true}'),
        (NUMBERS, "[1e-05,0.0001,1e+16,1000000000000000.0,12345678901234567890123,-0.0]"),
        ('"\\\b\f\n\r\t\x00\x1f', r'"\"\\\b\f\n\r\t\u0000\u001f"'),
        ("\x7f/√\U0001f600", '"\x7f/√\U0001f600"'),
    ],
)
def test_canonical_json_is_what_the_document_says(value, written):
    assert store.canonical(value).decode() == written


# --- every key and every path -----------------------------------------------------------------------------------------


def keys_of(schema: dict[str, Any], before: str = "") -> Iterator[str]:
    """The keys of a schema of ours: `images`, `images[].reference`, ..."""
    for key, inner in schema.get("properties", {}).items():
        yield before + key
        yield from keys_of(inner, f"{before}{key}.")
        if "items" in inner:
            yield from keys_of(inner["items"], f"{before}{key}[].")


def test_every_key_of_the_manifest_is_described_and_no_other():
    assert list(KEYS) == list(keys_of(schemas.schema("capsule-2")))


def test_the_manifest_is_written_in_that_order(toy_capsule):
    assert list(toy_capsule.manifest) == [key for key in KEYS if "." not in key]


@pytest.fixture(scope="module")
def full() -> dict[str, Any]:
    """The example with something at every key."""
    manifest = json.loads(EXAMPLE)
    text = {"path": "x", "url": "x", "did": "x", "sha256": "x", "adler32": "x", "size": 1}
    source = dict.fromkeys(schemas.schema("capsule-2")["properties"]["source"]["properties"], "x")
    likelihood = {"stage": "x", "output": "x", "files": []}
    return {**manifest, "inputs": [text], "source": source, "likelihood": likelihood}


def changed(manifest: dict[str, Any], key: str) -> dict[str, Any]:
    """The manifest with another value at a key."""
    manifest = deepcopy(manifest)
    *way, last = key.split(".")
    place: Any = manifest
    for step in way:
        place = place[step.removesuffix("[]")]
        place = place[0] if step.endswith("[]") else place
    if last == "images":
        place[last] = []
    else:
        place[last] = "changed"
    return manifest


@pytest.mark.parametrize("key", [key for key in KEYS if key != "schema"])
def test_what_the_digest_covers(full, key):
    assert (layout.digest(changed(full, key)) != layout.digest(full)) == (KEYS[key] == "yes")


def test_every_key_of_captured_is_described():
    section = TEXT.split("## captured.json")[1].split("\n## ")[0]
    assert set(keys_of(schemas.schema("captured-2"))) <= set(re.findall(r"`([a-z_]+)`", section))


def test_every_path_is_described():
    table = TEXT.split("## Files")[1].split("\n## ")[0]
    said = " ".join(re.findall(r"`([^`]+)`", table)).split()
    paths = {value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)}
    paths -= {layout.SCHEMA, layout.FIRST_SCHEMA, layout.CAPTURED_SCHEMA}
    paths |= {*fixity.TAGS, *fixity.OUTSIDE_FILES, *(place.rstrip("/") for place in fixity.OUTSIDE)}
    lost = {path for path in paths if not any(each == path or each.startswith(f"{path}/") for each in said)}
    assert lost == set()


def test_every_file_of_a_capsule_is_in_the_table(toy_capsule):
    rows = re.findall(r"^\| (`[^|]+) \|", TEXT.split("## Files")[1].split("\n## ")[0], re.MULTILINE)
    words = [word for row in rows for word in re.findall(r"`([^`]+)`", row)]
    patterns = [re.sub(r"\\\.\\\.\\\.|PATH|NAME|STAGE|INDEX|IMAGE", ".+", re.escape(word)) for word in words]
    for path, _ in store.walk(toy_capsule.path):
        assert any(re.fullmatch(pattern, path) for pattern in patterns), path


def test_the_files_that_the_digest_covers():
    section = TEXT.split("`files` must list exactly")[1].split("\n\n")[0]
    assert set(layout.COVERED) == set(re.findall(r"`([^`]+)`", section))


# --- the bag ----------------------------------------------------------------------------------------------------------


def test_the_manifests_are_what_the_document_says(toy_capsule):
    """Made again with hashlib alone."""
    for name, payload in (("manifest-sha512.txt", True), ("tagmanifest-sha512.txt", False)):
        rows = []
        for path in sorted(str(p.relative_to(toy_capsule.path)) for p in toy_capsule.path.rglob("*") if p.is_file()):
            if path.startswith("data/") == payload and path != "tagmanifest-sha512.txt":
                hashed = hashlib.sha512((toy_capsule.path / path).read_bytes()).hexdigest()
                said = path.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")
                rows.append(f"{hashed}  {said}\n")
        assert (toy_capsule.path / name).read_text() == "".join(rows)


def test_the_declaration_and_the_description(toy_capsule):
    assert (toy_capsule.path / "bagit.txt").read_bytes() == bag.VERSION
    assert bag.VERSION.decode().splitlines() == ["BagIt-Version: 1.0", "Tag-File-Character-Encoding: UTF-8"]
    told = [line.partition(": ")[0] for line in (toy_capsule.path / "bag-info.txt").read_text().splitlines()]
    section = TEXT.split("`bag-info.txt` has")[1].split("one line each")[0]
    assert told == [word for word in re.findall(r"`([^`]+)`", section) if word[0].isupper()]


# --- the package ------------------------------------------------------------------------------------------------------


def test_the_document_is_in_the_wheel(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(TOP)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("recast_dm/capsule/FORMAT.md").decode() == TEXT
