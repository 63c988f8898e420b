"""Fixtures that every test may use, and how hypothesis works here."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Nothing is kept between runs, and a slow machine is no failure.
settings.register_profile("recast", deadline=None, database=None, print_blob=True)
settings.load_profile("recast")

# What a shell starts in the background ignores Ctrl-C, and so would every process that a test means to interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

ANALYSES = Path(__file__).with_name("analyses")


@pytest.fixture(scope="session")
def toy_directory() -> Path:
    """The toy analysis as it stands in the repository: not to be written into."""
    return ANALYSES / "toy"


@pytest.fixture(scope="session")
def validators(tmp_path_factory):
    """Other people's validators; made on the first use, which needs a package index."""
    from tests import validators as standards

    return standards.prepare(tmp_path_factory.mktemp("validators"))


@pytest.fixture(scope="session", autouse=True)
def no_token_is_written(tmp_path_factory):
    """Whatever the tests have written, the token of REANA's stand-in is in none of it."""
    yield
    from tests.reana import canary

    assert list(canary.found(tmp_path_factory.getbasetemp())) == []
