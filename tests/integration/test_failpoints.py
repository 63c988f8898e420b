"""Every durable operation of a small run: killed there, or told that the disk is full or broken.

The run makes two steps, is started again with a record missing, and then takes both from the cache; see
`tests/soak/kills.py`.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from recast_dm.engine import together
from tests.soak import kills
from tests.soak.kills import Faults


@pytest.fixture(scope="module")
def operations() -> list[str]:
    return kills.operations("pair")


def test_there_are_points_of_every_kind(operations: list[str]) -> None:
    kinds = {what.split()[0] for what in operations}
    assert kinds >= {"open", "write", "fsync", "rename", "mkdir", "link", "unlink", "rmdir", "chmod", "fchmod"}
    assert any("/.records/" in what for what in operations)
    assert any("/cache/" in what for what in operations)


@pytest.mark.parametrize(
    "act", [kills.die, kills.fails(errno.ENOSPC), kills.fails(errno.EIO)], ids=["killed", "full", "broken"]
)
def test_at_every_durable_operation(operations: list[str], act) -> None:
    """(Just after an operation is just before the next one; the last number is the end of the run.)"""
    found = [kills.failpoint("pair", number, act, operations) for number in range(len(operations) + 1)]
    assert not [what for what in found if what]


@pytest.mark.parametrize(
    "act", [kills.die, kills.fails(errno.ENOSPC), kills.fails(errno.EIO)], ids=["killed", "full", "broken"]
)
def test_at_every_durable_operation_of_steps_that_share_a_start(monkeypatch: pytest.MonkeyPatch, act) -> None:
    """One after the other, so that the operations come in the same order each time."""
    monkeypatch.setattr(together, "WRITERS", 1)
    said = kills.operations("batch")
    assert any("/.attempts/.batch." in what for what in said)
    found = [kills.failpoint("batch", number, act, said) for number in range(len(said) + 1)]
    assert not [what for what in found if what]


def test_a_half_written_file_is_what_a_write_leaves(tmp_path: Path) -> None:
    with Faults(1, kills.fails(errno.ENOSPC)).installed(), pytest.raises(OSError, match="No space"):
        (tmp_path / "file").write_text("12345678")
    assert (tmp_path / "file").read_text() == "1234"
