"""Scripts traced for real, and what is made of them; no container is started here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from recast_dm import schemas
from recast_dm.capsule.tracing import commands, provenance, running, steps, strace
from recast_dm.cli import main
from recast_dm.spec.check import check

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None and os.environ.get("CI") != "true", reason="strace is not installed"
)


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """An empty working directory, a home that is not ours, and a temporary directory of its own."""
    for name in ("work", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "work"


@pytest.fixture
def traced(work, capsys):
    """Traces a script, and gives the document and the stages' commands by name."""

    def traced(script: str, *words: str, again: tuple[str, ...] = (), shebang: str = "#!/bin/sh\n"):
        (work / "run.sh").write_text(shebang + script)
        (work / "run.sh").chmod(0o755)
        options = [option for each in again for option in ("--again", each)]
        code = main(["capture", "--trace", "-o", "../draft", "--json", *options, "--", "./run.sh", *words])
        said = capsys.readouterr()
        assert code == 0, said.err
        document = json.loads(said.out)
        assert schemas.problem("trace-1", document) is None
        draft = Path("../draft")
        assert check(str(draft)).errors == ()
        found = yaml.safe_load((draft / "steps.yml").read_text())
        return document, {name: step["process"]["cmd"].splitlines() for name, step in found.items()}

    return traced


def workflow() -> dict[str, dict]:
    return {stage["name"]: stage for stage in yaml.safe_load(Path("../draft/workflow.yml").read_text())["stages"]}


# --- what a script does ----------------------------------------------------------------------------------------------


@needs_strace
def test_edges_come_from_files_that_are_written_and_then_read(traced, work):
    (work / "in.txt").write_text("b\na\n")
    _, cmds = traced("sort in.txt > sorted.txt; head -n 1 < sorted.txt > first.txt; cp first.txt copy.txt")
    flow = workflow()
    assert [stage["dependencies"] for stage in flow.values()] == [["init"], ["sort"], ["head"]]
    assert flow["head"]["scheduler"]["parameters"]["sorted_txt"] == {"step": "sort", "output": "sorted_txt"}
    assert cmds["sort"][-1] == "sort {in_txt} > {sorted_txt}"
    assert cmds["head"][-1] == "head -n 1 < {sorted_txt} > {first_txt}"
    assert cmds["cp"][-1] == "cp {first_txt} {copy_txt}"


@needs_strace
def test_a_pipeline_is_one_step(traced, work):
    (work / "data").write_text("b\na\n")
    document, cmds = traced(
        "cat data | sort -r | tail -n 1 2>&1 >out.txt; { echo x; cat data; echo y; } | sort > all.txt"
    )
    assert document["stages"] == ["tail", "sort"]
    assert cmds["tail"][-1].startswith("cat {data} | sort -r | tail -n 1 ")
    assert cmds["sort"][-3:] == ["{{ printf %s 'x", "'; cat {data}; printf %s 'y", "'; }} | sort > {all_txt}"]
    assert document["left_out"] == []


@needs_strace
def test_a_loop_makes_a_stage_each_time(traced, work):
    document, _ = traced("for i in 1 2 3; do touch out$i.txt; done")
    assert document["stages"] == ["touch", "touch_2", "touch_3"]


@needs_strace
def test_a_file_that_is_changed_in_place_is_copied_and_keeps_the_order(traced, work):
    _, cmds = traced("echo a > log; sed -i s/a/b/ log; echo c >> log; cat log > end")
    flow = workflow()
    assert [stage["dependencies"] for stage in flow.values()] == [["init"], ["write_log"], ["sed"], ["write_log_2"]]
    assert "cp {log_2} log" in cmds["sed"]
    assert cmds["sed"][-1] == "sed -i s/a/b/ log"
    assert (Path("../draft") / "data").is_dir()


@needs_strace
def test_what_is_written_and_read_within_a_command_is_no_edge(traced, work):
    document, _ = traced("sh -c 'echo x > t; cat t > out; rm t'; sh -c 'test ! -e t; echo y > t; mv t two'")
    assert set(document["results"]) == {"sh/out", "sh_2/two"}
    assert all(stage["dependencies"] == ["init"] for stage in workflow().values())


@needs_strace
def test_a_file_that_was_overwritten_unread_is_not_published(traced, work):
    document, _ = traced("date > x; echo a > x; mkdir -p d; mv x d/y; mv d e; cat e/y > z")
    assert document["stages"] == ["write_x", "mv", "mv_2", "cat"]
    assert document["results"] == ["mv_2/e/y", "cat/z"]
    assert "date" in document["left_out"]


@needs_strace
def test_directories_variables_and_odd_names(traced, work):
    (work / "d e").mkdir()
    (work / "d e/ü {x}.txt").write_text("1\n")
    _, cmds = traced("export A=\"it's\" PWDX=$PWD; cd 'd e'; sort 'ü {x}.txt' > '../o $(ls).txt'")
    assert "export A='it'\"'\"'s'" in cmds["sort"]
    assert "export PWDX={here}" in cmds["sort"], "the directory of the run is not that of the trace"
    assert "cd {here}'/d e'" in cmds["sort"]
    assert (Path("../draft/data/d e") / "ü {x}.txt").read_text() == "1\n"


@needs_strace
def test_a_name_that_shows_in_an_output_stays(traced, work):
    (work / "data.csv").write_text("1\n")
    _, cmds = traced('wc -l "$PWD/data.csv" > n1; wc -l data.csv > n2; wc -l < data.csv > n3')
    assert "cp {data_csv} data.csv" in cmds["wc_2"]
    assert cmds["wc_2"][-2:] == ["wc -l data.csv > {n2}", "rm -f data.csv"]
    assert cmds["wc_3"][-1] == "wc -l < {data_csv} > {n3}"


@needs_strace
def test_a_large_input_is_linked(traced, work):
    with (work / "large").open("wb") as file:
        file.truncate(300 * 1024**2)
    _, cmds = traced("sh -c 'head -c 3 large > out'")
    assert "ln -s {large} large" in cmds["sh"]
    assert cmds["sh"][-1] == "rm -f large"


@needs_strace
def test_programs_of_the_directory_are_copied_and_listed(traced, work):
    (work / "tools").mkdir()
    (work / "tools/one.py").write_text("import two, json; two.write(json.load(open('settings.json')))\n")
    (work / "tools/two.py").write_text("def write(x): open('out', 'w').write(str(x))\n")
    (work / "settings.json").write_text("3")
    document, cmds = traced(f"{sys.executable} tools/one.py")
    assert "cp /analysis/tools/two.py tools/two.py" in cmds["one"]
    assert "cp {settings_json} settings.json" in cmds["one"]
    assert "python3 tools/one.py" in cmds["one"]
    copied = {each["to"] for each in document["copied"]}
    assert copied == {
        "context/here/tools/one.py",
        "context/here/tools/two.py",
        "context/here/run.sh",
        "data/settings.json",
    }
    for name in copied:
        assert (Path("../draft") / name).is_file()


@needs_strace
def test_a_script_that_is_no_shell_script_is_one_step(traced, work):
    (work / "in.json").write_text("4")
    program = (
        "import subprocess\nsubprocess.run(['cp', 'in.json', 'mid'])\nopen('out', 'w').write(open('mid').read())\n"
    )
    document, cmds = traced(program, "word", shebang=f"#!{sys.executable}\n")
    assert document["stages"] == ["run"]
    assert "./run.sh word" in cmds["run"]
    assert set(document["results"]) == {"run/mid", "run/out"}


@needs_strace
def test_literals_that_differ_become_parameters(traced, work):
    (work / "a.csv").write_text("1\n2\n3\n")
    document, cmds = traced(
        'echo "mass $2 width 3" > card; head -n "$3" "$1" > h; sh -c \'echo "$@" > s\' x --mass=$2 --n "$3"',
        *("a.csv", "100", "2"),
        again=("a.csv 250.5 1",),
    )
    assert document["parameters"] == {"a_csv": "a.csv", "mass": 100, "n": 2}
    assert cmds["write_card"][-2:] == ["printf %s 'mass '{mass}' width 3", "' > {card}"]
    assert cmds["head"][-1] == "head -n {n} {a_csv} > {h}"
    assert "--mass={mass} --n {n}" in cmds["sh"][-1]


@needs_strace
def test_runs_that_differ_in_their_commands_are_not_compared(traced, work):
    document, _ = traced('touch x; if [ "$1" = 2 ]; then cp x y; fi', "1", again=("2",))
    assert any("could not be compared" in finding for finding in document["findings"])
    assert document["parameters"] == {}


@needs_strace
def test_an_input_that_the_script_itself_overwrites_is_reported(traced, work):
    (work / "data").write_text("1\n")
    document, _ = traced("sort data > out; echo 2 > data")
    assert any("data was there before and was changed" in finding for finding in document["findings"])


@needs_strace
def test_an_exit_code_that_the_script_did_not_mind_is_accepted(traced, work):
    (work / "data").write_text("b\n")
    document, cmds = traced("grep -c a data > n || true")
    assert cmds["grep"][-1] == "grep -c a {data} > {n} || [ $? -eq 1 ]"
    assert any("exit code 1" in finding for finding in document["findings"])


@needs_strace
def test_another_run_changes_nothing_of_the_first(traced, work):
    (work / "data").write_text("1\n")
    script = 'wc -l "$1" > n; if [ "$2" = gone ]; then echo other > data; echo > n; fi'
    document, cmds = traced(script, "data", again=("data gone",))
    assert (Path("../draft/data") / "data").read_text() == "1\n"
    assert "cp {data} data" in cmds["wc"], "the first run's output shows the name"
    assert document["copied"][0]["size"] == 2


# --- what must not happen --------------------------------------------------------------------------------------------


@needs_strace
def test_secrets_are_never_copied(traced, work, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "s3cr3t-value")
    monkeypatch.setenv("HARMLESS", "plain-value")
    (work / "../home/.ssh").mkdir()
    (work / "../home/.ssh/id_rsa").write_text("s3cr3t-key")
    (work / "../home/.netrc").write_text("s3cr3t-netrc")
    (work / "../home/.toolrc").write_text("personal-text")
    (work / "host.pem").write_text("s3cr3t-pem")
    document, _ = traced(
        "export COPY=$MY_TOKEN API_TOKEN=other-$HARMLESS\n"
        'sh -c \'cat ~/.ssh/id_rsa ~/.netrc ~/.toolrc host.pem > /dev/null; echo "$1" | wc -c > n\' x "$MY_TOKEN"'
    )
    everything = "".join(path.read_text() for path in Path("../draft").rglob("*") if path.is_file())
    for secret in ("s3cr3t", "plain-value", "personal-text"):
        assert secret not in everything
    assert {Path(each["path"]).name: each["why"] for each in document["not_copied"]} == {
        **dict.fromkeys(("id_rsa", ".netrc", "host.pem"), "secret"),
        ".toolrc": "personal",
    }
    assert {"MY_TOKEN", "HARMLESS"} <= set(document["environment"]["inherited"])
    assert document["environment"]["set"] == ["API_TOKEN", "COPY"]
    assert "REMOVED" in everything


@needs_strace
def test_the_network_and_writes_elsewhere_are_reported(traced, work):
    connect = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('127.0.0.1', 9))"
    document, _ = traced(f"{sys.executable} -c \"{connect}; open('out', 'w')\"; echo x > ../home/beyond; cp out two")
    assert any("127.0.0.1:9" in finding for finding in document["findings"])
    assert any("home/beyond" in finding for finding in document["findings"])


@needs_strace
@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        ("echo x > out; exit 3", 1, "ended with exit code 3"),
        ("kill -9 $$", 1, "ended with exit code 137"),
        ("echo only words", 2, "wrote no file"),
        ("echo x > out; rm out", 2, "wrote no file"),
    ],
)
def test_nothing_is_drafted(work, script, code, message, capsys):
    (work / "run.sh").write_text(f"#!/bin/sh\n{script}\n")
    (work / "run.sh").chmod(0o755)
    assert main(["capture", "--trace", "-o", "../draft", "--", "./run.sh"]) == code
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
    assert sorted(path.name for path in work.parent.iterdir()) == ["home", "work"]


@needs_strace
def test_a_name_that_is_not_utf8_is_refused(work, capsys):
    (work / "run.sh").write_bytes(b"echo x > out; cp out $(printf 'a\\377')\n")
    assert main(["capture", "--trace", "-o", "../draft", "--", "sh", "run.sh"]) == 2
    assert "not UTF-8" in capsys.readouterr().err
    assert not Path("../draft").exists()


@needs_strace
def test_ctrl_c_ends_the_script_too(work):
    (work / "run.sh").write_text("echo $$ > pid; exec sleep 60\n")
    words = [sys.executable, "-m", "recast_dm", "capture", "--trace", "-o", "../draft", "--", "sh", "run.sh"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not ((work / "pid").exists() and (work / "pid").read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert b"interrupted" in process.communicate(timeout=60)[1]
    assert process.returncode == 130
    script = Path("/proc") / (work / "pid").read_text().strip()
    while script.exists() and "State:\tZ" not in (script / "status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not Path("../draft").exists()


def test_words_that_cannot_be(work, capsys, monkeypatch):
    (work / "full").mkdir()
    (work / "full/file").touch()
    assert main(["capture", "--trace"]) == 2
    assert main(["capture", "--trace", "--", "./missing.sh"]) == 2
    assert main(["capture", "--trace", "--again", "'", "--", "true"]) == 2
    assert main(["capture", "--trace", "-o", "full", "--", "true"]) == 2
    assert main(["capture", "--trace", "-o", ".", "--", "true"]) == 2
    assert main(["capture"]) == 2
    assert main(["capture", "a", "b", "-o", "x"]) == 2
    assert main(["capture", "a"]) == 2
    said = capsys.readouterr().err
    assert "there is no program './missing.sh'" in said
    assert "Missing argument 'ANALYSIS'" in said


def test_without_strace_it_says_how_to_get_it(work, capsys, monkeypatch):
    monkeypatch.setattr(running.shutil, "which", lambda name, **_: None)
    assert main(["capture", "--trace", "--", "true"]) == 4
    assert "apt-get install -y strace" in capsys.readouterr().err


def test_where_nothing_may_be_traced_that_is_said(work, tmp_path, monkeypatch, capsys):
    """What strace does where ptrace is forbidden: it says so, and starts nothing."""
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin/strace"
    stand_in.write_text("#!/bin/sh\necho 'strace: ptrace(PTRACE_TRACEME, ...): Operation not permitted' >&2\nexit 1\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert main(["capture", "--trace", "--", "true"]) == 4
    assert "SYS_PTRACE" in capsys.readouterr().err


# --- recorded logs ---------------------------------------------------------------------------------------------------

LOG = r"""
1 execve("./run.sh", ["./run.sh"], ["HOME=/root", "A=1"]) = 0
1 openat(AT_FDCWD</w>, "./run.sh", O_RDONLY) = 3</w/run.sh>
1 fcntl(3</w/run.sh>, F_DUPFD_CLOEXEC, 10) = 10</w/run.sh>
1 close(3</w/run.sh>) = 0
1 pipe([3<pipe:[5]>, 4<pipe:[5]>]) = 0
1 fork() = 2
1 close(4<pipe:[5]>) = 0
1 fork( <unfinished ...>
3 dup2(3<pipe:[5]>, 0</dev/null>) = 0<pipe:[5]>
3 openat(AT_FDCWD</w>, "out", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 4</w/out>
3 dup2(4</w/out>, 1</dev/pts/0>) = 1</w/out>
3 close(4</w/out>) = 0
3 execve("/usr/bin/uniq", ["uniq"], ["HOME=/root", "A=2", "_=/usr/bin/uniq"]) = 0
1 <... fork resumed>) = 3
2 dup2(4<pipe:[5]>, 1</dev/pts/0>) = 1<pipe:[5]>
2 execve("/usr/bin/sort", ["sort", "in"], ["HOME=/root", "A=1"]) = 0
2 openat(AT_FDCWD</w>, "in", O_RDONLY) = 3</w/in>
2 openat(AT_FDCWD</w>, "t", O_RDWR|O_CREAT|O_EXCL, 0600) = 4</w/t>
2 unlink("t") = 0
2 +++ exited with 0 +++
3 +++ exited with 1 +++
1 chdir("sub") = 0
1 openat(AT_FDCWD</w/sub>, "../log", O_WRONLY|O_CREAT|O_APPEND, 0666) = 3</w/log>
1 dup2(3</w/log>, 1</dev/pts/0>) = 1</w/log>
1 write(1</w/log>, "one\n", 4) = 4
1 +++ exited with 0 +++
"""


def recorded() -> commands.Traced:
    odd: list[str] = []
    events = list(strace.events(LOG.splitlines(), odd=odd))
    assert odd == []
    return commands.follow(events, lambda path: "shell" if path.endswith(".sh") else "program", "/w")


def test_a_recorded_log_becomes_commands():
    found = recorded()
    sort, uniq, text = found.commands
    assert found.is_script
    assert found.code == 0
    assert (sort.words, uniq.words, text.text) == (("sort", "in"), ("uniq",), b"one\n")
    assert (sort.code, uniq.code) == (0, 1)
    assert dict(uniq.environment) == {"A": "2"}
    assert sort.writes_pipes == {uniq.reads_pipe}
    assert uniq.redirections == (commands.Redirection(1, ">", "/w/out"),)
    assert text.redirections == (commands.Redirection(1, ">>", "/w/log"),)
    assert text.cwd == "/w/sub"
    assert list(found.read) == ["/w/run.sh"]


def test_commands_become_steps():
    there = {"/w/in", "/w/log"}
    flow = steps.flow(recorded().commands, there.__contains__, lambda path: True, lambda path: path.startswith("/w/"))
    pipeline, text = flow.steps
    assert list(pipeline.wanted) == ["/w/out"]
    assert {path: use.producer for path, use in pipeline.uses.items() if path.startswith("/w/")} == {"/w/in": None}
    assert text.uses["/w/log"].changed, "it was there before, and something is appended to it"


# --- who owns a file -------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path) -> provenance.Machine:
    info = tmp_path / "dpkg/info"
    info.mkdir(parents=True)
    (info / "tool:amd64.list").write_text("/.\n/bin\n/bin/tool\n/usr/share/tool/data\n")
    (tmp_path / "dpkg/status").write_text(
        "Package: tool\nVersion: 1.2-3\nPriority: optional\n\nPackage: b\nVersion: 1\n"
    )
    site = tmp_path / "venv/lib/python3.11/site-packages"
    (site / "fit-2.0.dist-info").mkdir(parents=True)
    (site / "fit-2.0.dist-info/METADATA").write_text("Name: Fit\nVersion: 2.0\n\nText\n")
    (site / "fit-2.0.dist-info/RECORD").write_text('fit/__init__.py,,\n"fit/a,b.py",,\n../../../bin/fit,,\n')
    return provenance.Machine(str(tmp_path / "home"), tmp_path / "dpkg")


def test_owners(machine, tmp_path):
    site = f"{tmp_path}/venv/lib/python3.11/site-packages"
    fit = provenance.Owner("distribution", "Fit", "2.0")
    tool = provenance.Owner("package", "tool", "1.2-3")
    assert machine.owner("/bin/tool") == machine.owner("/usr/bin/tool") == tool
    assert machine.owner(f"{site}/fit/__init__.py") == fit
    assert machine.owner(f"{site}/fit/__pycache__/__init__.cpython-311.pyc") == fit
    assert machine.owner(f"{site}/fit/a,b.py") == fit
    assert machine.owner(f"{tmp_path}/venv/bin/fit") == fit
    assert machine.owner(f"{site}/other.py").kind == "nobody"
    assert machine.owner("/etc/hostname").kind == "machine"
    assert machine.owner("/usr/local/bin/own").kind == "nobody"
    assert machine.owner(f"{tmp_path}/home/.config/x").kind == "personal"
    assert machine.owner(f"{tmp_path}/home/.aws/config").kind == "secret"
    assert machine.owner(f"{tmp_path}/x/proxy.pem").kind == "secret"


def test_an_interpreter_that_no_package_owns_is_known_by_its_library(machine):
    machine.learn([sys.executable])
    assert machine.owner(str(Path(os.__file__).resolve())).kind == "interpreter"
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in machine.prefixes.values()
