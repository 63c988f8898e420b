"""Secrets in texts: each kind is found, nothing that protects nothing is, and no value is ever told."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.capsule.gates import secrets
from recast_dm.capsule.gates.files import texts
from recast_dm.capsule.gates.secrets import Secret, searching

TOP = Path(__file__).parents[2]


def b64(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


# Each is put together here, so that no scanner of this repository stumbles over it.
BODY = "\n".join(["MIIEpAIBAAKCAQEAx3Zq8mJpV5y0Qw7cB2nRk9tLfE4sUoHdYgXaZbNi1jKvWlTe"] * 3)
PLANTED = {
    "aws id": "aws_id: AK" + "IAJ4XNQ7ZK2M5TRB6W",
    "aws secret": "aws_secret_key = 'wJalrX" + "UtnFEMIK7MDENGbPxRfiCYzX9qLp2sT4'",
    "github": "x = 'gh" + "p_" + "a1B2c3D4e5F6" * 3 + "'",
    "github fine": "x = 'github" + "_pat_11ABCDEFG0" + "x9Y8z7W6v5" * 4 + "'",
    "gitlab": "x = 'gl" + "pat-" + "a1B2c3D4e5F6g7H8i9J0'",
    "slack": "x = 'xox" + "b-123456789012-123456789012-a1b2c3d4e5f6'",
    "slack hook": "https://hooks." + "slack.com/services/T0A1B2C3D/B0A1B2C3D/a1B2c3D4e5F6",
    "jwt": f"x = '{b64({'alg': 'HS256', 'typ': 'JWT'})}.{b64({'sub': 'ada', 'name': 'Ada L'})}.c2lnbmF0dXJl'",
    "url": "git clone https://ada:" + "Tr0ub4dor3@git.cern.ch/ada/search.git",
    "private key": f"-----BEGIN RSA {'PRIVATE'} KEY-----\n{BODY}\n-----END",
    "open ssh key": f"-----BEGIN OPENSSH {'PRIVATE'} KEY-----\n{BODY}\n",
    "key in a string": f'key = "-----BEGIN EC {"PRIVATE"} KEY-----\\n{BODY.splitlines()[0]}\\n"',
    "locked key": f"-----BEGIN RSA {'PRIVATE'} KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128\n\n{BODY}\n",
    "password": "password = 'corr3ct-h0rse'",
    "api key": 'config["api_key"] = "9f8e7d6c5b4a39281706"',
    "reana": "REANA_ACCESS_TOKEN=XyZ-9aBcDeFgHiJkLmNoPq",
    "export": "export REANA_ACCESS_TOKEN='XyZ-9aBcDeFgHiJkLmNoPq'",
    "yaml token": "access_token: 'XyZ-9aBcDeFgHiJkLmNoPq'",
    "azure": "AccountKey=" + "a1B2c3D4" * 11,
    "npm": "//registry.example/:_auth" + "Token=npm_a1B2c3D4e5F6g7H8",
    "openai": "x = 'sk-" + "a1B2c3D4e5F6g7H8i9J0" + "T3Blb" + "kFJ" + "a1B2c3D4e5F6g7H8i9J0'",
    "pypi": "x = 'pypi-" + "AgEIcHlwaS5vcmc" + "a1B2c3D4e5" * 8 + "'",
    "sendgrid": "x = 'S" + "G." + "a1B2c3D4e5F6g7H8i9J0k1" + "." + "a1B2c3D4e5" * 4 + "xyz'",
    "square": "x = 'sq0" + "csp-" + "a1B2c3D4e5" * 4 + "xyz'",
    "stripe": "x = 'sk_" + "live_" + "a1B2c3D4e5F6g7H8i9J0k1L2'",
}
HARMLESS = {
    "variable": "password = os.environ['DB_PASSWORD']",
    "shell variable": "export REANA_ACCESS_TOKEN=$TOKEN",
    "template": "token: {token}",
    "placeholder": "REANA_ACCESS_TOKEN=<your-token>",
    "example": "password = 'changeme'",
    "documentation": "https://user:" + "hunter2@example.org/x",
    "words": "the secret of a good password is its length",
    "tokens": "tokens = tokenize(source); secret = get_secret(name)",
    "port": "http://localhost:8080/a?b=c@d",
    "mail": "mailto:ada@cern.ch https://cern.ch:443/@x",
    "digest": "sha256:" + "9f8e7d6c5b4a3928170" * 3,
    "numbers": "aws 0.1234567890123456789012345678901234567890 1e-5",
    "marker alone": f'if line == "-----BEGIN RSA {"PRIVATE"} KEY-----":',
    "picture": "QAHAEwAAQAAAAAAAgAHAGQAAQAAA" + "AAAAwAaAKIAAQAAAAAABAAHAM0AAQAAAAAABQA8AU8",
    "public": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ada@cern",
    "allowed in place": "password = 'corr3ct-h0rse'  # pragma: allowlist secret",
}


def found(name: str, text: str) -> tuple[Secret, ...]:
    with searching() as search:
        return search.text(name, text.encode())


class TestKinds:
    @pytest.mark.parametrize("text", PLANTED.values(), ids=PLANTED)
    @pytest.mark.parametrize("name", ["fit.py", "workflow.yml", "notes", "run.sh"])
    def test_each_kind_is_found_in_each_kind_of_file(self, text, name):
        seen = found(name, f"# first\n{text}\n# last\n")
        assert {secret.line for secret in seen} == {2}
        assert {secret.place for secret in seen} == {name}

    @pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
    @pytest.mark.parametrize("name", ["fit.py", "workflow.yml", "notes", "run.sh"])
    def test_what_protects_nothing_is_not(self, text, name):
        assert found(name, text) == ()

    @pytest.mark.parametrize("text", PLANTED.values(), ids=PLANTED)
    def test_each_kind_is_found_in_a_long_line(self, text):
        """Long lines are looked at in pieces: a table of a notebook, a program on one line."""
        for before, after in ((0, 30_000), (30_000, 0), (9000, 9000), (8190, 8190)):
            line = "0.5 " * (before // 4) + text + " 0.5" * (after // 4)
            assert found("notes.ipynb", line), (before, after)

    @pytest.mark.parametrize("text", PLANTED.values(), ids=PLANTED)
    def test_whatever_a_detector_finds_has_a_mark(self, text):
        """What the cheap look lets pass, detect-secrets would not have found either."""
        from detect_secrets.settings import get_plugins

        with searching():
            lines = [line for line in text.splitlines() if any(p.analyze_line("x.cfg", line, 1) for p in get_plugins())]
        assert all(list(secrets._candidates(line.encode())) for line in lines)

    def test_hints_are_in_their_words(self):
        assert all(hint in word for hint, words in secrets._MARKS for word in words)

    def test_a_binary_file_has_none(self):
        assert found("a.o", "\0" + PLANTED["github"]) == ()

    def test_lines_are_counted(self):
        text = "\n" * 999 + PLANTED["github"] + "\n\n" + PLANTED["gitlab"] + "\n"
        assert [secret.line for secret in found("x", text)] == [1000, 1002]

    def test_two_in_a_line_are_two(self):
        assert len(found("x.py", PLANTED["github"] + "; " + PLANTED["gitlab"])) == 2

    def test_the_password_of_an_image_may_be_a_plain_word(self):
        with searching() as search:
            assert search.settings("image x", ["DB_PASSWORD=swordfish", "PATH=/usr/bin", "GPG_KEY=A035C8C19219BA82"])


class TestNames:
    def test_a_name_tells_nothing_and_stays(self):
        first, second = (found(name, PLANTED["password"])[0] for name in ("a.py", "b/c.py"))
        assert first.name == second.name
        assert len(first.name) == 10
        assert found("a.py", PLANTED["password"].replace("corr3ct", "c0rrect"))[0].name != first.name

    def test_two_private_keys_have_two_names(self):
        other = PLANTED["private key"].replace("MIIE", "MIIF")
        assert found("a", PLANTED["private key"])[0].name != found("a", other)[0].name

    @pytest.mark.parametrize("text", PLANTED.values(), ids=PLANTED)
    def test_no_value_is_told(self, text):
        for secret in found("x.sh", text):
            told = f"{secret!r} {secret.line_of_text()} {secret.document()}"
            # any long enough piece of what was planted
            pieces = {text[n : n + 8] for n in range(len(text) - 8)} - {secret.kind[n : n + 8] for n in range(40)}
            assert not [piece for piece in pieces if piece in told]


class TestSafety:
    @given(st.binary(max_size=2000), st.sampled_from(sorted(PLANTED)))
    def test_any_bytes_can_be_looked_at(self, data, kind):
        with searching() as search:
            search.text("x.yml", data)
            clean = data.replace(b"\0", b"") + b"\n" + PLANTED[kind].encode()
            if b"pragma" not in data:
                assert search.text("x.yml", clean)

    def test_a_line_made_to_be_slow_is_not(self):
        with searching() as search:
            search.text("x.py", b"secret" * 20_000)
            search.text("x.py", b"password = '" * 10_000)

    def test_other_threads_wait_and_settings_come_back(self):
        from detect_secrets.settings import get_settings

        before = get_settings().json()
        done: list[int] = []
        workers = [
            threading.Thread(target=lambda text=text: done.append(len(found("x.py", text))))
            for text in PLANTED.values()
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert all(done)
        assert len(done) == len(PLANTED)
        assert get_settings().json() == before


@pytest.mark.parametrize("directory", ["specs", "tests/analyses", "tests/conformance", "containers", "recast_dm"])
def test_our_own_analyses_have_none(directory):
    with searching() as search:
        seen = [secret for name, data in texts(TOP / directory) for secret in search.text(name, data)]
    assert seen == []
