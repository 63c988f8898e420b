"""The examples in the docstrings run."""

import doctest
import importlib

import pytest

MODULES = (
    "__main__", "closed_form", "detector", "events", "generate", "hepmc", "histogram", "limit", "matching", "opened",
    "patch", "selection", "shower", "tally", "variations", "workspace",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(f"monojet.{name}"))
    assert found.attempted
    assert not found.failed
