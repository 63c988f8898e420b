"""What holds for the whole package: its examples run, its schemas are schemas, and it knows no analysis by name."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import re
from pathlib import Path

import jsonschema
import pytest

import recast_dm
from recast_dm import schemas

PACKAGE = Path(recast_dm.__file__).parent
TOP = Path(__file__).parents[2]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(recast_dm.__path__, "recast_dm.")
    if not module.name.endswith("__main__") and module.name != "recast_dm.backends.yadage.driver"  # runs elsewhere
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, verbose=False)
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(name) for name in MODULES]
    assert sum(bool(test.examples) for module in modules for test in finder.find(module)) > 20


def test_no_analysis_is_known_by_name():
    """Every analysis is data: the package must not know one of them."""
    analyses = {path.name for path in (TOP / "specs").iterdir() if path.is_dir()}
    words = re.compile("|".join(map(re.escape, sorted({*analyses, "atlas", "monojet", "cms"}))), re.IGNORECASE)
    found = [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and "locks" not in path.parts and path.suffix in (".py", ".json", ".txt", ".yml", ".toml")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
        and not any(title in line for title in ("Dark Matter Forum", "with the ATLAS experiment"))  # papers' titles
        and "arXiv:" not in line  # where a number comes from
        and "RECAST_ATLAS_CATALOGUE" not in line  # a variable that RECAST named
    ]
    assert found == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "schemas").glob("*.json")), ids=lambda path: path.stem)
def test_a_schema_is_one_and_says_its_own_name(path):
    schema = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    name, _, version = path.stem.rpartition("-")
    if name != "recast":  # recast.yml carries no schema name: a catalogue entry of recast-atlas is one
        assert schema["properties"]["schema"] == {"const": f"recast-dm/{name}/{version}"}
        assert "schema" in schema["required"]
    assert schemas.problem(path.stem, {"schema": "other"}) is not None
