"""What is wrong with a specification, all of it: one pass finds every problem, and says where each one is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from recast_dm.errors import Location, SpecError

T = TypeVar("T")


class Problems:
    """Collects errors and warnings.

    An error is a part that cannot be read; the rest is read all the same. A warning never stops a workflow.
    """

    def __init__(self) -> None:
        self._errors: dict[str, SpecError] = {}
        self._warnings: dict[str, SpecError] = {}
        self.nameless = False
        """Whether a stage has no name that can be read: then nobody can say which names are unknown."""

    @property
    def errors(self) -> tuple[SpecError, ...]:
        """In the order of their places."""
        return tuple(sorted(self._errors.values(), key=_place))

    @property
    def warnings(self) -> tuple[SpecError, ...]:
        return tuple(sorted(self._warnings.values(), key=_place))

    def add(self, error: SpecError) -> None:
        self._errors.setdefault(f"{error.where}: {error.message}", error)

    def warn(self, message: str, where: Location | None, hint: str | None = None) -> None:
        warning = SpecError(message, where=where, hint=hint)
        self._warnings.setdefault(f"{where}: {message}", warning)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """What goes wrong inside is remembered, and the reading goes on behind it."""
        try:
            yield
        except SpecError as error:
            self.add(error)

    def attempt(self, read: Callable[[], T]) -> T | None:
        """What `read` gives, or None when it went wrong."""
        try:
            return read()
        except SpecError as error:
            self.add(error)
            return None

    def demand_none(self) -> None:
        """Raises the error that was found first; the hint says how many more there are."""
        errors = tuple(self._errors.values())
        if not errors:
            return
        first = errors[0]
        if len(errors) == 1:
            raise first
        more = f"{len(errors) - 1} more: `recast-dm check` lists them all"
        raise SpecError(first.message, where=first.where, hint=f"{first.hint}\n{more}" if first.hint else more)


def _place(error: SpecError) -> tuple[str, int, int]:
    where = error.where
    return (where.file, where.line, where.column) if where else ("", 0, 0)
