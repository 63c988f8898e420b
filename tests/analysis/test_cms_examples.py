"""The examples in the docstrings run."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["cmsmonojet.search", "cmsmonojet.signal", "cmsmonojet.workspace", "monojet.flavour"])
def test_examples(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed
