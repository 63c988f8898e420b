"""Finding models by name, and what a broken package gets."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from recast_dm import signals
from recast_dm.errors import ToolMissing, UsageError
from recast_dm.signals import found


@pytest.fixture
def installed(monkeypatch):
    """Installs the given {name: value} as the only entry points."""

    def install(entries):
        points = [EntryPoint(name, value, found.GROUP) for name, value in entries.items()]
        monkeypatch.setattr(found, "entry_points", lambda group: points if group == found.GROUP else [])
        found._installed.cache_clear()

    yield install
    found._installed.cache_clear()


def test_models_are_found_by_name(installed):
    installed({"spin1-axial": "recast_dm.signals.spin1:AXIAL", "add": "recast_dm.signals.add:ADD"})
    assert signals.names() == ("add", "spin1-axial")
    assert signals.find("add").record.title == "Large extra dimensions (ADD): a graviton recoiling against a jet"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("spin1-axail", "did you mean 'spin1-axial'? known here: add, spin1-axial"),
        ("", "known here: add, spin1-axial"),
    ],
)
def test_unknown_names(installed, name, hint):
    installed({"spin1-axial": "recast_dm.signals.spin1:AXIAL", "add": "recast_dm.signals.add:ADD"})
    with pytest.raises(UsageError) as caught:
        signals.find(name)
    assert caught.value.message == f"there is no signal model {name!r}"
    assert caught.value.hint == hint


def test_nothing_installed(installed):
    installed({})
    with pytest.raises(UsageError) as caught:
        signals.find("add")
    assert caught.value.hint == "known here: none"


@pytest.mark.parametrize("value", ["no_such_package:MODEL", "recast_dm.signals.spin1:NO_SUCH_MODEL"])
def test_a_package_that_does_not_load(installed, value):
    installed({"mine": value})
    with pytest.raises(ToolMissing, match="signal model 'mine' of an unknown package cannot be loaded"):
        signals.find("mine")


@pytest.mark.parametrize("value", ["recast_dm.signals.text:shortest", "recast_dm.signals.add:ADD"])
def test_a_package_that_offers_something_else(installed, value):
    installed({"mine": value})
    with pytest.raises(ToolMissing, match="signal model 'mine' of an unknown package is not one"):
        signals.find("mine")


def test_importing_the_room_is_light():
    code = "import sys, recast_dm.signals; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"numpy", "scipy", "jsonschema", "yaml", "difflib"} & set(loaded)


@pytest.mark.parametrize("name", ["", *(f".{module.name}" for module in pkgutil.iter_modules(signals.__path__))])
def test_examples_in_docstrings(name):
    module = importlib.import_module(f"recast_dm.signals{name}")
    assert doctest.testmod(module).failed == 0
