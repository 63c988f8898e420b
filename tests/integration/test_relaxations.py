"""What a stage declares, its containers get on every runtime, and nothing else; it is shown, recorded, never shared."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from recast_dm.runtimes import Runtime

CLI = Path(sys.executable).with_name("recast-dm")
IMAGE = {"environment_type": "docker-encapsulated", "image": "recast-dm/toy", "imagetag": "1.0"}
INTERFACES = "grep -c : /proc/net/dev"
RUNTIMES = ["docker", "podman", "sandbox"]


def analysis(place: Path, command: str, steps: dict | None = None, resources: list | None = None) -> Path:
    """One stage, `look`, that writes what a command says."""
    place.mkdir()
    step = {
        "process": {"process_type": "interpolated-script-cmd", "interpreter": "sh", "script": f"{command} > '{{out}}'"},
        "environment": {**IMAGE, **({"resources": resources} if resources else {})},
        "publisher": {"publisher_type": "frompar-pub", "outputmap": {"out": "out"}},
    }
    parameters = [{"key": "out", "value": "{workdir}/out.txt"}]
    scheduler = {"scheduler_type": "singlestep-stage", "parameters": parameters, "step": step}
    workflow = {"stages": [{"name": "look", "dependencies": ["init"], "scheduler": scheduler}]}
    manifest = {
        "name": "looking",
        "spec": {"workflow": "workflow.yml"},
        "example_inputs": {"default": {"initdata": {}}},
        "results": [{"name": "out", "relpath": "look/out.txt"}],
        **({"steps": {"look": steps}} if steps else {}),
    }
    (place / "workflow.yml").write_text(yaml.safe_dump(workflow))
    (place / "recast.yml").write_text(yaml.safe_dump(manifest))
    return place


def run(place: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    argv = [str(CLI), "run", str(place), *words]
    own = {"RECAST_DM_CACHE_DIR": str(place.parent / "cache"), **env}
    return subprocess.run(argv, env={**os.environ, **own}, capture_output=True, text=True, check=False)


def done(place: Path, runtime: str, name: str, **env: str) -> tuple[str, dict]:
    """What the stage said, and its record."""
    target = place.parent / name
    ended = run(place, "--runtime", runtime, "--workdir", str(target), **env)
    assert ended.returncode == 0, ended.stderr
    (out,) = target.glob("look/**/out.txt")
    (record,) = target.glob(".records/look/**/*.json")
    return out.read_text(), json.loads(record.read_text())


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    found: Runtime = request.getfixturevalue(request.param)
    return found.about().name


def test_a_network_is_there_for_who_declares_it(runtime: str, tmp_path: Path) -> None:
    closed, record = done(analysis(tmp_path / "closed", INTERFACES), runtime, "a")
    assert closed == "1\n"
    assert "no network" in record["execution"]["runtime"]["isolation"]
    seen, record = done(analysis(tmp_path / "open", INTERFACES, {"network": True}), runtime, "b")
    assert int(seen) > 1
    assert "network, as declared" in record["execution"]["runtime"]["isolation"]
    assert "no network" not in record["execution"]["runtime"]["isolation"]


def test_the_sandbox_shares_the_network_of_this_machine(sandbox: Runtime, tmp_path: Path) -> None:
    assert sandbox.about().name == "sandbox"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5); print(1)"
        said, _ = done(analysis(tmp_path / "a", f'python3 -c "{script}"', {"network": True}), "sandbox", "run")
    assert said == "1\n"


def test_a_place_is_shown_read_only(runtime: str, tmp_path: Path) -> None:
    given = tmp_path / "a place"
    given.mkdir()
    (given / "x").write_text("kept")
    command = f"(cat '{given}/x'; touch '{given}/y' 2>/dev/null && echo written; true)"
    said, record = done(analysis(tmp_path / "a", command, {"mounts": [str(given)]}), runtime, "run")
    assert said == "kept"
    assert [each.name for each in given.iterdir()] == ["x"]
    assert record["execution"]["exit_code"] == 0


def test_what_saw_more_is_not_taken_from_another_run(docker: Runtime, tmp_path: Path) -> None:
    assert docker.about().name == "docker"
    given = tmp_path / "x"
    given.write_text("one")
    place = analysis(tmp_path / "a", f"cat '{given}'", {"mounts": [str(given)]})
    assert done(place, "docker", "first")[0] == "one"
    given.write_text("two")
    assert done(place, "docker", "second")[0] == "two"


def test_plan_and_report_say_what_the_sandbox_does_not_enforce(sandbox: Runtime, tmp_path: Path) -> None:
    place = analysis(tmp_path / "a", "echo")
    (plan,) = [line for line in run(place, "--dry-run", "--runtime", "sandbox").stdout.splitlines() if "weaker" in line]
    assert all(each in plan for each in sandbox.about().lacking)
    assert sandbox.about().lacking
    done(place, "sandbox", "run")
    html = tmp_path / "report.html"
    subprocess.run([CLI, "report", str(tmp_path / "run"), "-o", str(html)], check=True, capture_output=True)
    assert "no limit of cpus" in html.read_text()


def test_the_plan_shows_it(docker: Runtime, tmp_path: Path) -> None:
    assert docker.about().name == "docker"
    place = analysis(tmp_path / "a", INTERFACES, {"network": True, "mounts": ["/usr"]}, ["CVMFS"])
    said = run(place, "--dry-run").stdout
    assert "network, mount: /usr, resource: cvmfs" in said


@pytest.mark.parametrize(
    ("resource", "variable", "names"),
    [("kerberos", "KRB5CCNAME", {"kerberos": True}), ("voms_proxy", "X509_USER_PROXY", "GRIDProxy")],
)
def test_credentials_are_there_while_it_runs(
    runtime: str, tmp_path: Path, resource: str, variable: str, names: object
) -> None:
    credential = tmp_path / "credential"
    credential.write_text("a ticket")
    credential.chmod(0o600)
    place = analysis(tmp_path / "a", f'(cat "$(echo ${variable} | sed s/FILE://)")', None, [names])
    said, record = done(place, runtime, "run", **{variable: str(credential)})
    assert said == "a ticket"
    assert record["execution"]["env"][variable].endswith(f"/etc/recast-dm/{resource}")
    left = [path for path in (tmp_path / "run").rglob("*") if path.is_file() and path.name != "out.txt"]
    assert not [path for path in left if "a ticket" in path.read_text(errors="replace")]


@pytest.mark.parametrize(
    ("steps", "resources", "said"),
    [
        ({"mounts": ["/no/such/place"]}, None, "needs /no/such/place, which is not on this machine"),
        (None, [{"gpu": True}], "needs graphics processors"),
    ],
)
def test_what_this_machine_lacks_is_one_error(
    sandbox: Runtime, tmp_path: Path, steps: dict | None, resources: list | None, said: str
) -> None:
    assert sandbox.about().name == "sandbox"
    place = analysis(tmp_path / "a", "true", steps, resources)
    ended = run(place, "--runtime", "sandbox", "--workdir", str(tmp_path / "run"))
    assert ended.returncode == 4
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_credentials_that_the_user_lacks_are_said(sandbox: Runtime, tmp_path: Path) -> None:
    assert sandbox.about().name == "sandbox"
    place = analysis(tmp_path / "a", "true", None, ["kerberos", "GRIDProxy"])
    none = {"KRB5CCNAME": f"{tmp_path}/none", "X509_USER_PROXY": f"{tmp_path}/none"}
    ended = run(place, "--runtime", "sandbox", "--workdir", str(tmp_path / "run"), **none)
    assert ended.returncode == 0
    assert "kinit` gets one" in ended.stderr
    assert "`voms-proxy-init --voms" in ended.stderr


def test_a_place_must_be_a_whole_path(tmp_path: Path) -> None:
    ended = run(analysis(tmp_path / "a", "true", {"mounts": ["data"]}), "--dry-run")
    assert ended.returncode == 3
    assert "recast.yml:" in ended.stderr
