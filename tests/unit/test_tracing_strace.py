"""What strace writes becomes typed calls: recorded logs, and any name in any of strace's notations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.capsule.tracing.strace import Call, Cut, Descriptor, Exit, events, unquoted

AT = Descriptor(None, "/here")


def one(line: str) -> object:
    odd: list[str] = []
    found = list(events([line], odd=odd))
    assert odd == []
    return found[0] if found else None


@pytest.mark.parametrize(
    ("line", "call"),
    [
        (
            '7 openat(AT_FDCWD</here>, "a.csv", O_RDONLY|O_CLOEXEC) = 3</here/a.csv>',
            Call(7, "openat", (AT, b"a.csv", "O_RDONLY|O_CLOEXEC"), 3, "/here/a.csv"),
        ),
        ('7 open("x", O_WRONLY|O_CREAT, 0666) = 4', Call(7, "open", (b"x", "O_WRONLY|O_CREAT", "0666"), 4)),
        (
            r'7 execve("./r\x20\x75n", ["./r", "a\"b", "\303\251"...], ["A=1"]) = 0',
            Call(7, "execve", (b"./r un", (b"./r", b'a"b', Cut("é".encode())), (b"A=1",)), 0),
        ),
        (
            r"12 dup2(3</here/\x3cb\x3e>, 1</dev/pts/0>) = 1</here/\x3cb\x3e>",
            Call(12, "dup2", (Descriptor(3, "/here/<b>"), Descriptor(1, "/dev/pts/0")), 1, "/here/<b>"),
        ),
        (
            "7 pipe2([3<pipe:[11]>, 4<pipe:[11]>], O_CLOEXEC) = 0",
            Call(7, "pipe2", ((Descriptor(3, "pipe:[11]"), Descriptor(4, "pipe:[11]")), "O_CLOEXEC"), 0),
        ),
        (
            "7 clone(child_stack=NULL, flags=CLONE_VM|SIGCHLD, child_tidptr=0x7f8) = 9",
            Call(7, "clone", ("child_stack=NULL", "flags=CLONE_VM|SIGCHLD", "child_tidptr=0x7f8"), 9),
        ),
        (
            "7 clone3({flags=CLONE_VFORK, exit_signal=SIGCHLD} => {parent_tid=[0]}, 88) = 9",
            Call(7, "clone3", ("{flags=CLONE_VFORK, exit_signal=SIGCHLD} => {parent_tid=[0]}", "88"), 9),
        ),
        (
            '7 connect(3<socket:[5]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.1")}, 16) = 0',
            Call(
                7,
                "connect",
                (
                    Descriptor(3, "socket:[5]"),
                    '{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.1")}',
                    "16",
                ),
                0,
            ),
        ),
        ("7 close(3</tmp/x>(deleted)) = 0", Call(7, "close", (Descriptor(3, "/tmp/x"),), 0)),
        ('[pid    7] chdir("/") = 0', Call(7, "chdir", (b"/",), 0)),
        ("7 fchdir(5</here/(a>)           = 0", Call(7, "fchdir", (Descriptor(5, "/here/(a"),), 0)),
        ('7 openat(AT_FDCWD, "x", O_RDONLY) = 3', Call(7, "openat", (Descriptor(None), b"x", "O_RDONLY"), 3)),
        ("7 +++ exited with 3 +++", Exit(7, 3)),
        ("7 +++ killed by SIGKILL +++", Exit(7, 137)),
        ("7 +++ killed by SIGSEGV (core dumped) +++", Exit(7, 139)),
    ],
)
def test_a_line(line, call):
    assert one(line) == call


@pytest.mark.parametrize(
    "line",
    [
        '7 open("x", O_RDONLY) = -1 ENOENT (No such file or directory)',
        "7 exit_group(0) = ?",
        "7 wait4(-1, 0x7ff, 0, NULL) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)",
        "7 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=8, si_status=0} ---",
        "7 +++ superseded by execve in pid 8 +++",
        "",
    ],
)
def test_what_did_nothing(line):
    assert one(line) is None


@pytest.mark.parametrize(
    "line", ["nonsense", "7 what", '7 open("x', "7 open(", "7 open()", "7 +++ dead +++", "7 close(3</x) = 0"]
)
def test_what_is_not_understood_is_kept(line):
    odd: list[str] = []
    assert list(events([line, "7 +++ exited with 0 +++"], odd=odd)) == [Exit(7, 0)]
    assert odd == [line]


def test_calls_that_were_interrupted_are_put_together():
    log = """\
7 vfork( <unfinished ...>
8 execve("/bin/a", ["a"], [] <unfinished ...>
7 <... vfork resumed>)              = 8
8 <... execve resumed>)             = 0
8 openat(AT_FDCWD</>, "x", O_RDONLY <unfinished ...>
7 chdir("b")                        = 0
8 <... openat resumed>)             = 3</x>
8 +++ exited with 0 +++
7 clone3({flags=CLONE_VM} <unfinished ...>
9 +++ exited with 1 +++
7 <... clone3 resumed> => {parent_tid=[9]}, 88) = 9
7 fork( <unfinished ...>
7 +++ killed by SIGKILL +++
"""
    found = [(event.pid, event.name if isinstance(event, Call) else "end") for event in events(log.splitlines())]
    assert found == [
        *[(7, "vfork"), (8, "execve"), (7, "chdir"), (8, "openat"), (8, "end")],
        *[(7, "clone3"), (9, "end"), (7, "end")],
    ], "who makes a process stands before it"


# --- any name --------------------------------------------------------------------------------------------------------

LETTERS = {10: "\\n", 9: "\\t", 13: "\\r", 11: "\\v", 12: "\\f"}


def as_strace(content: bytes, *, hexadecimal: bool) -> str:
    """How strace quotes a text: C escapes with the shortest octal numbers, or all of it in hex."""
    if hexadecimal:
        return "".join(f"\\x{byte:02x}" for byte in content)
    shown = []
    for n, byte in enumerate(content):
        digit = n + 1 < len(content) and chr(content[n + 1]).isdigit()
        if byte in LETTERS:
            shown.append(LETTERS[byte])
        elif chr(byte) in '"\\<>':
            shown.append(f"\\{chr(byte)}" if chr(byte) in '"\\' else f"\\{byte:o}" if not digit else f"\\{byte:03o}")
        elif 32 <= byte < 127:
            shown.append(chr(byte))
        else:
            shown.append(f"\\{byte:03o}" if digit else f"\\{byte:o}")
    return "".join(shown)


@given(st.binary(max_size=30), st.booleans())
def test_every_text_comes_back(content, hexadecimal):
    text = as_strace(content, hexadecimal=hexadecimal)
    assert unquoted(f'"{text}"') == (content, len(text) + 2)


@given(st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text), st.booleans())
def test_every_name_comes_back_from_a_whole_line(name, hexadecimal):
    shown = as_strace(name.encode("utf-8", "surrogatepass"), hexadecimal=hexadecimal)
    call = one(f'7 openat(AT_FDCWD</{shown}>, "{shown}", O_RDONLY) = 3</{shown}>')
    assert isinstance(call, Call)
    raw = name.encode("utf-8", "surrogatepass")
    assert call.arguments[1] == raw
    assert call.opened == f"/{raw.decode('utf-8', 'surrogateescape')}"


@given(st.lists(st.text(max_size=40), max_size=5))
def test_no_line_is_a_traceback(lines):
    odd: list[str] = []
    list(events([f"7 {line}" for line in lines], odd=odd))
