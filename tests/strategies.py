"""What the property tests draw from: values, texts that hurt, YAML documents."""

from __future__ import annotations

import string

from hypothesis import strategies as st

HOSTILE = (
    "",
    " ",
    "'",
    '"',
    "'\"'\"'",
    "\\'\"; echo pwned #",
    "\\",
    "\\'",
    "a\nb",
    "\n",
    "a\tb  c",
    "$(echo pwned)",
    "`echo pwned`",
    "$HOME",
    "${HOME}",
    "$((1+1))",
    "; echo pwned",
    "x; id #",
    "&& echo pwned",
    "| cat",
    "> /nonexistent/file",
    "*",
    "~root",
    "!!",
    "-rf",
    "--help",
    "{a}",
    "{{a}}",
    "#",
    "%s%n",
    "Zürich → 東京 😀",
    "\u202e\u200b",
    "\x01\x7f",
)
"""Texts that a shell would act on, if they were not data."""

hostile = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(alphabet=st.sampled_from("'\"\\$`;&|<>(){}#*?~! \n\tab-"), max_size=12),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
    # texts that look like YAML's own words
    st.sampled_from(
        ["yes", "No", "on", "~", "null", "1_000", "0x1F", "017", "1:30", "1e3", "2024-01-01", "<<", "=", ""]
    ),
)

names = st.text(string.ascii_lowercase + "_", min_size=1, max_size=6)

documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
"""JSON-like documents with text keys."""

# fmt: off
LIKE_NUMBERS_AND_TRUTHS = (
    "yes", "Yes", "YES", "no", "No", "NO", "true", "True", "TRUE", "false", "False", "on", "ON", "off", "Off", "y", "n",
    "~", "null", "Null", "NULL", "nUll", "08", "0o7", "1e3", "1.e+3", ".5", "5.", "-", "--", "+1", "-0", "0", "00",
    "1__0", "a=b", "@x",
)
# fmt: on

plain_scalars = st.one_of(
    st.from_regex(r"[-+]?(0|[1-9][0-9_]{0,8})", fullmatch=True),
    st.from_regex(r"[-+]?0[0-7_]{1,6}", fullmatch=True),
    st.from_regex(r"[-+]?0x[0-9a-fA-F]{1,6}", fullmatch=True),
    st.from_regex(r"[-+]?0b[01]{1,6}", fullmatch=True),
    st.from_regex(r"[-+]?[1-9][0-9]{0,2}(:[0-5]?[0-9]){1,3}(\.[0-9]{0,2})?", fullmatch=True),
    st.from_regex(r"[-+]?[0-9]{0,3}\.[0-9_]{1,6}([eE][-+][0-9]{1,2})?", fullmatch=True),
    st.sampled_from(LIKE_NUMBERS_AND_TRUTHS),
)
"""Plain scalars at the edges of YAML 1.1's rules for numbers and truth."""
