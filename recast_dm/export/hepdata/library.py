"""HEPData's own library and validator, brought in without what they do to the rest of the process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from recast_dm.errors import IntegrityError

PROBLEMS_SHOWN = 10


@contextmanager
def _undisturbed() -> Iterator[None]:
    """hepdata_lib changes warning filters and how PyYAML's loader reads mappings, for everybody: that is undone.

    Its validator uses an old name of jsonschema's and leaves files to the garbage collector: no news for our users.
    """
    loader: Any = getattr(yaml, "CLoader", yaml.Loader)
    constructors = dict(loader.yaml_constructors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            loader.yaml_constructors = constructors


def hepdata_lib() -> ModuleType:
    """The library. Half a second the first time."""
    with _undisturbed():
        import hepdata_lib as library  # type: ignore[import-untyped]
    return library  # type: ignore[no-any-return]  # it is a module


def demand_valid(directory: Path) -> None:
    """Raises IntegrityError with what `hepdata-validator` finds wrong in a submission. Nothing is fetched."""
    with _undisturbed():
        from hepdata_validator.full_submission_validator import (  # type: ignore[import-untyped]
            FullSubmissionValidator,
        )

        validator = FullSubmissionValidator(autoload_remote_schemas=False)
        valid = validator.validate(directory=str(directory))
        found = [message.message for messages in validator.get_messages().values() for message in messages]
    if not valid:
        listed = "\n".join(found[:PROBLEMS_SHOWN])
        raise IntegrityError(f"hepdata-validator refuses what would be written: {len(found)} problems", hint=listed)
