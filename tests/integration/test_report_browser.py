"""Reports in Chromium: nothing asked of any network, no error, no script needed, readable in light, dark and narrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commanding import program, recast

from recast_dm.report.html import page
from tests import scans
from tests.browser import Browser, browser

NARROW, WIDE = 400, 1100
HOSTILE = "</pre><script>document.title='owned'</script><img src=http://127.0.0.1:9/x onerror=alert(1)>]]>"
LUMINANCE = """(() => {
  const c = getComputedStyle(document.querySelector('.rdm')).backgroundColor.match(/\\d+/g).map(Number)
  return (c[0] + c[1] + c[2]) / 3
})()"""
OVERFLOWING = """[...document.querySelectorAll('.rdm *')].filter(e =>
  e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest('.wide, pre')
).map(e => e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 40))"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(program("chromium"), tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report of a scan, and one of a local run whose logs and title are hostile."""
    place = tmp_path_factory.mktemp("reports")
    document = scans.document()
    document["title"] += HOSTILE
    (place / "scan.json").write_text(json.dumps(document))
    (place / "workflow.yml").write_text(
        json.dumps(
            {
                "stages": [
                    {
                        "name": "speak",
                        "dependencies": ["init"],
                        "scheduler": {
                            "scheduler_type": "singlestep-stage",
                            "parameters": {"word": {"step": "init", "output": "word"}, "out": "{workdir}/out"},
                            "step": {
                                "process": {
                                    "process_type": "string-interpolated-cmd",
                                    "cmd": "echo {word} > {out} && cat {out}",
                                },
                                "environment": {"environment_type": "localproc-env"},
                                "publisher": {"publisher_type": "interpolated-pub", "publish": {"out": "{out}"}},
                            },
                        },
                    }
                ]
            }
        )
    )
    ran = recast(
        "run", place / "workflow.yml", "-p", f"word={json.dumps(HOSTILE)}", "--allow-host", "--no-cache", cwd=place
    )
    assert ran.returncode == 0, ran.stderr
    found = {}
    for name, source in (("scan", place / "scan.json"), ("run", "build/runs/latest")):
        found[name] = place / f"{name}.html"
        done = recast("report", source, "--no-relic", "-o", found[name], cwd=place)
        assert done.returncode == 0, done.stderr
        assert found[name].stat().st_size < page.LARGEST
    return found


@pytest.mark.parametrize("name", ["scan", "run"])
@pytest.mark.parametrize("scripts", [False, True])
def test_nothing_is_asked_and_nothing_is_wrong(shown, reports, name, scripts):
    """With scripts allowed too: the policy, not the setting, is what keeps hostile words still."""
    shown.open(reports[name], width=WIDE, scripts=scripts)
    assert shown.said == []
    assert [url for url in shown.asked if not url.startswith("data:image/")] == [reports[name].resolve().as_uri()]
    assert shown.ask("document.title").endswith(": recast-dm report")
    assert shown.ask("document.querySelectorAll('script, iframe, object, link').length") == 0
    assert shown.ask("document.body.textContent.includes('onerror=alert(1)')") is True
    broken = shown.ask("[...document.images].filter(i => !i.complete || i.naturalWidth == 0).length")
    assert broken == 0


@pytest.mark.parametrize("name", ["scan", "run"])
def test_nothing_is_wider_than_a_phone(shown, reports, name):
    shown.open(reports[name], width=NARROW)
    assert shown.ask("document.documentElement.scrollWidth") == NARROW
    assert shown.ask(OVERFLOWING) == []


def test_dark_is_dark_and_light_is_light(shown, reports, tmp_path):
    shown.open(reports["scan"], width=WIDE)
    light = shown.screenshot(tmp_path / "light.png")
    assert shown.ask(LUMINANCE) > 200
    shown.open(reports["scan"], width=WIDE, dark=True)
    dark = shown.screenshot(tmp_path / "dark.png")
    assert shown.ask(LUMINANCE) < 60
    assert mean(light) > 200
    assert mean(dark) < 100


def test_a_forbidden_style_is_refused(shown, reports, tmp_path):
    """The policy is in force: what is smuggled in has no effect, and Chromium says so."""
    spoilt = tmp_path / "spoilt.html"
    smuggled = '<p id="in" style="color: rgb(1, 2, 3)">x</p><script>document.title = "owned"</script>'
    spoilt.write_text(reports["scan"].read_text().replace("<main>", f"<main>{smuggled}"))
    shown.open(spoilt, width=WIDE, scripts=True)
    assert shown.ask("document.title") != "owned"
    assert shown.ask("getComputedStyle(document.getElementById('in')).color") != "rgb(1, 2, 3)"
    assert any("Content Security Policy" in text for text in shown.said)


@pytest.mark.parametrize("name", ["scan", "run"])
def test_it_prints(shown, reports, name):
    """Light, without what scrolls, and no wider than the paper."""
    shown.open(reports[name], width=700, dark=True)
    shown.call("Emulation.setEmulatedMedia", media="print", features=[])
    assert shown.ask("document.documentElement.scrollWidth") == 700
    assert shown.ask(LUMINANCE) == 255
    assert shown.printed().startswith(b"%PDF-")


def mean(png: bytes) -> float:
    """The mean lightness of a picture, 0 to 255."""
    import io

    from matplotlib import image

    pixels = image.imread(io.BytesIO(png), format="png")
    return float(pixels[..., :3].mean() * 255)
