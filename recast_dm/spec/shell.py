"""Where in a shell command a placeholder stands: as much of POSIX (and bash's `$'...'`) as is needed to know.

What cannot be decided is said to be undecidable; nothing is guessed.
"""

from __future__ import annotations

from recast_dm.model import Quoting


class Shell:
    """Reads a command's literal texts one after the other; between two of them a placeholder may stand.

    >>> shell = Shell()
    >>> shell.feed("echo '")
    >>> shell.quoting
    'single'
    """

    def __init__(self) -> None:
        self._quotes: Quoting = "none"
        self._for_good: str | None = None
        self._expansion = False
        self._comment = False
        self._escaped = False
        self._continued = "\n"
        self._split = False
        self._previous = "\n"
        self._behind = ""
        self._arithmetic = 0
        self._nested: list[int] = []
        self._word = ""
        self._documents: list[_Document] = []
        self._reading: _Document | None = None
        self._inside = False

    @property
    def quoting(self) -> Quoting:
        """What a placeholder that stood here would stand in."""
        if self._comment:
            return "comment"
        return "nested" if self._nested and self._quotes == "none" else self._quotes

    @property
    def undecidable(self) -> str | None:
        """Why a placeholder that stood here could not be quoted; None where it can."""
        if self._for_good or self._inside or self._comment:
            return self._for_good or (self._documents[0].undecidable if self._inside else None)
        reasons = {
            "behind a backslash": self._escaped,
            "in arithmetic, which a shell evaluates": self._arithmetic,
            "in ${...}": self._expansion,
            "in the word that ends a here-document": self._reading is not None,
            "behind a dollar sign": self._previous in ("$", _PID) and self._quotes != "single",
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    @property
    def document(self) -> str:
        """The word that ends the here-document that is being read."""
        return self._documents[0].word if self._inside else ""

    def placeholder(self) -> None:
        """A placeholder stands here: whatever its value is, it ends what came before."""
        if self._previous != _VALUE:
            self._behind, self._previous = self._previous, _VALUE
        if self._inside:
            self._documents[0].placeholder()

    def feed(self, literal: str) -> None:
        for character in literal:
            self._take(character)

    def _give_up(self, reason: str) -> None:
        """From here on nothing is known."""
        self._for_good = self._for_good or reason

    def _take(self, character: str) -> None:
        if self._inside:
            self._inside_document(character)
            return
        if self._reading is not None and self._read_name(self._reading, character):
            return
        before, self._previous = self._previous, character
        if self._escaped or self._comment or self._quotes == "single":
            self._inert(character)
        elif character == "\\":
            self._escaped, self._continued = True, before
        else:
            self._active(character, before)

    def _active(self, character: str, before: str) -> None:
        """A character that no backslash, single quote or comment takes its meaning from."""
        split, self._split = self._split, False
        if character in "({[<'" and (before == _PID or (split and before in ("$", "(", "<", _SUBSTITUTION))):
            self._give_up("after an operator that not every shell reads alike")
        if character == before == "$":
            self._previous = _PID
        if self._expansion:
            self._inside_expansion(character, before)
        elif character == "{" and before == "$":
            self._expansion = True
        elif self._arithmetic:
            self._inside_arithmetic(character, before)
        elif self._quotes == "double":
            self._inside_double(character, before)
        else:
            self._plain(character, before)

    def _read_name(self, document: _Document, character: str) -> bool:
        """Whether a character belongs to the name of a here-document."""
        if character == "<" and document.fresh:
            self._reading = None  # `<<<`: a word follows, quoted as any other
            return True
        if document.name(character):
            return True
        self._documents.append(document)
        self._reading, self._previous = None, _WORD
        return False

    def _inert(self, character: str) -> None:
        """A character that means nothing, or the end of what makes it so."""
        if self._escaped:
            self._escaped, self._split = False, character == "\n"
            self._previous = self._continued if character == "\n" else _WORD
        elif self._comment:
            self._comment = character != "\n"
            self._begin_documents(character)
        elif character == "'":
            self._quotes, self._previous = "none", _WORD

    def _inside_expansion(self, character: str, before: str) -> None:
        """Quotes in `${x:-"..."}` follow rules of their own, which differ between shells; `${ x; }` is a command."""
        if character == "}":
            self._expansion, self._previous = False, _WORD
        elif character in "'\"`${" or (before == "{" and character in " \t\n|("):
            self._give_up("after quotes or expansions in ${...}")
        elif character in "()" and (self._nested or self._arithmetic):
            self._give_up("after a parenthesis in ${...}")

    def _inside_arithmetic(self, character: str, before: str) -> None:
        """`$((...))` ends with both parentheses at once; anything else may be a command in a command."""
        self._spell(character)
        if character == "(":
            self._arithmetic += 1
        elif character == ")":
            self._arithmetic -= 1
            if self._arithmetic == 1:
                self._previous = _CLOSING
            elif self._arithmetic == 0:
                self._previous = _WORD
        odd = character in "'\"`\\#\n" or (character == "[" and before == "$")
        if odd or (before == _CLOSING and character != ")"):
            self._give_up("after `$((`, which may begin arithmetic or a command")

    def _inside_double(self, character: str, before: str) -> None:
        if character == '"':
            self._quotes, self._previous = "none", _WORD
        elif character == "`" or (character == "[" and before == "$"):
            self._give_up("after a command substitution in double quotes")
        elif character == "(" and before == "$":
            self._quotes, self._previous, self._word = "none", _SUBSTITUTION, ""
            self._nested.append(1)
            self._demand_no_documents()

    def _plain(self, character: str, before: str) -> None:
        self._spell(character)
        if character in "'\"":
            self._quotes = "single" if character == "'" else "double"
            if character == "'" and before == "$":
                self._give_up("after $'...', which not every shell reads alike")
        elif character == "`":
            self._give_up("after a backquote")
        elif character == "<":
            self._redirection(before)
        elif character in "([":
            self._bracket(character, before)
        elif character == ")":
            self._demand_no_documents()
            self._close()
        elif character == "#":
            self._hash(before)
        self._begin_documents(character)

    def _spell(self, character: str) -> None:
        """The patterns of `case` close parentheses that nothing opened; where they are counted, it is not understood.

        Quotes within a word are not seen: what is refused for them was not meant to be a word of the shell's.
        """
        if character not in _WORD_ENDS:
            self._word += character
            return
        if self._word == "case" and (self._nested or self._arithmetic):
            self._give_up("after `case` in a substitution")
        self._word = ""

    def _redirection(self, before: str) -> None:
        """`<<` begins the name of a here-document; `<<<` is another thing, and not every shell's."""
        if before == _VALUE and self._behind == "<":
            self._give_up("after a redirection behind another one")
        elif before == "<" and self._nested:
            self._give_up("after a here-document in a command substitution in double quotes")
        elif before == "<":
            self._reading = _Document()

    def _bracket(self, character: str, before: str) -> None:
        if character == "(":
            self._demand_no_documents()
        if character == "(" and before == _SUBSTITUTION:
            self._arithmetic = 2
            self._close()
            return
        if character == "(" and self._nested:
            self._nested[-1] += 1
        if character == "(" and before == "$":
            self._previous = _SUBSTITUTION
        elif before == "(" == character or (character == "[" and (before == "$" or (before == "[" and self._nested))):
            self._give_up("after arithmetic, which a shell evaluates")
        elif before == _VALUE and (character == "(" or self._nested):
            self._give_up("after a bracket behind a placeholder, which may be empty")

    def _close(self) -> None:
        """A parenthesis closes: perhaps the one that had opened a substitution in double quotes, which go on."""
        if not self._nested:
            return
        self._nested[-1] -= 1
        if not self._nested[-1]:
            self._nested.pop()
            self._quotes, self._previous = "double", _WORD

    def _hash(self, before: str) -> None:
        """A comment, if a word can begin here: not in `$(x)#y`; old shells miscount what comments in `"$()"` hold."""
        begins = before == _SUBSTITUTION or (before in _WORD_ENDS and before != _VALUE)
        if before in (_VALUE, ")") or (begins and self._nested):
            self._give_up("after a # that may begin a comment")
        self._comment = begins

    def _demand_no_documents(self) -> None:
        """Shells differ in where a here-document begins whose line opens or closes a parenthesis after its name."""
        if self._documents:
            self._give_up("after a parenthesis behind the name of a here-document")

    def _begin_documents(self, character: str) -> None:
        """The bodies of here-documents begin on the line after the one that names them."""
        if character == "\n" and self._documents:
            self._enter()

    def _enter(self) -> None:
        first = self._documents[0]
        if first.broken:
            self._give_up(first.broken)
            return
        self._inside = True
        self._quotes = "document" if first.literal else "expanded document"

    def _inside_document(self, character: str) -> None:
        ended = self._documents[0].line(character)
        if broken := self._documents[0].broken:
            self._give_up(broken)
        if not ended:
            return
        self._documents.pop(0)
        self._inside, self._quotes, self._previous = False, "none", "\n"
        if self._documents:
            self._enter()


class _Document:
    """A here-document: first its name is read, then its lines. A quoted name makes the lines literal."""

    def __init__(self) -> None:
        self.literal = False
        self.broken: str | None = None
        self.word = ""
        self.fresh = True
        self._quote = ""
        self._tabs = False
        self._line: str | None = ""
        self._previous = ""
        self._expands: str | None = None

    def name(self, character: str) -> bool:
        """Takes a character of the name; False when it has ended before this one.

        Only plain names are read: letters and digits, bare or all in one pair of quotes. Shells know more, and differ.
        """
        first, self.fresh = self.fresh, False
        if self._quote and character == self._quote:
            self._quote = _CLOSED
        elif self._quote and self._quote != _CLOSED:
            self._take(character, also=" ")
        elif character == "-" and first:
            self._tabs = True
        elif character in " \t" and not self.word and not self._quote:
            pass
        elif character in "'\"" and not self.word and not self._quote:
            self._quote, self.literal = character, True
        elif character in " \t\n;&|>":
            self.broken = self.broken or (None if self.word else "after a here-document without a name")
            return False
        elif self._quote == _CLOSED:
            self.broken = _UNREADABLE
        else:
            self._take(character)
        return True

    def _take(self, character: str, also: str = "") -> None:
        if not (character.isascii() and (character.isalnum() or character == "_" or character in also)):
            self.broken = _UNREADABLE
        self.word += character

    @property
    def undecidable(self) -> str | None:
        if self.literal:
            return None
        behind = {"\\": "behind a backslash", "$": "behind a dollar sign"}
        return self._expands or behind.get(self._previous)

    def placeholder(self) -> None:
        """A line with a placeholder is not the last one: what a value would make of it is checked when it is known."""
        self._line, self._previous = None, ""

    def line(self, character: str) -> bool:
        """Takes a character of the body; True at the end of the line that is the name."""
        if character == "\n":
            if not self.literal and self._previous == "\\":
                self.broken = "after a continued line in a here-document, whose end shells read differently"
            line, self._line, self._previous = self._line, "", "\n"
            if line is None:
                return False
            return (line.lstrip("\t") if self._tabs else line) == self.word
        if not self.literal and (character == "`" or (character in "({[" and self._previous == "$")):
            self._expands = "after an expansion in a here-document"
        self._previous = "" if self._previous == "\\" else character
        if self._line is not None:
            self._line += character
        return False


_UNREADABLE = "after a here-document whose name cannot be read"
_CLOSED = "closed"
_WORD = "w"
"""Any character that a comment cannot follow: stands for a quoted or escaped one."""
_VALUE = ""
"""Stands for a placeholder, which may be empty."""
_SUBSTITUTION, _CLOSING, _PID = "$(", "))", "$$"
"""Stand for what has just begun, may just end, or ends with the second of its characters."""
_WORD_ENDS = " \t\n;&|()<>"
