"""The examples in the docstrings run."""

import doctest
import importlib

import pytest

MODULES = ("closed_form", "detector", "generate", "histogram", "limit", "patch", "selection", "workspace")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(f"monojet.{name}"))
    assert found.attempted
    assert not found.failed
