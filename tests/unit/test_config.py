"""What the environment says, read in one place."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import recast_dm
from recast_dm import config
from recast_dm.config import Config


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"RECAST_DM_CACHE_DIR": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/recast-dm"),
        ({"RECAST_DM_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/recast-dm"),
        ({"RECAST_DM_CACHE_DIR": "relative"}, f"{Path.cwd()}/relative"),
        ({}, "/.cache/recast-dm"),
    ],
)
def test_where_the_cache_lies(environ, expected):
    assert str(Config.from_environment(environ).cache_dir) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"RECAST_DM_CATALOGUE": "/c.json", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/c.json"),
        ({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/recast-dm/catalogue.json"),
        ({"HOME": "/h"}, "/h/.config/recast-dm/catalogue.json"),
        ({"RECAST_DM_CATALOGUE": "c.json"}, f"{Path.cwd()}/c.json"),
    ],
)
def test_where_the_catalogue_lies(environ, expected):
    assert str(Config.from_environment(environ).catalogue) == expected


def test_recasts_own_directories():
    found = Config.from_environment({"RECAST_ATLAS_CATALOGUE": "/a::b:"}).recast_catalogues
    assert found == (Path("/a"), Path.cwd() / "b")
    assert Config.from_environment({}).recast_catalogues == ()


def test_the_runtime_and_the_processors():
    assert Config.from_environment({}).runtime == "auto"
    assert Config.from_environment({"RECAST_DM_RUNTIME": "podman"}).runtime == "podman"
    assert Config.from_environment({}).jobs == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("ids", "expected"), [((1000, 100), (1000, 100)), ((0, 0), (64077, 64077)), ((0, 5), (64077, 64077))]
)
def test_a_container_is_never_roots(monkeypatch, ids, expected):
    monkeypatch.setattr(os, "getuid", lambda: ids[0])
    monkeypatch.setattr(os, "getgid", lambda: ids[1])
    assert config.container_user() == expected


def test_nobody_else_reads_the_environment():
    top = Path(recast_dm.__file__).parent
    readers = [
        str(path.relative_to(top))
        for path in top.rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b|from os import .*environ", path.read_text())
    ]
    assert readers == ["config.py"]
