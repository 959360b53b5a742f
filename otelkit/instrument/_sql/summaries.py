"""The summary of a statement: its operations and their targets, in the order of the text.

Source: OpenTelemetry semantic conventions, database spans, "Generating a summary of the query". Names
of common table expressions are no targets: what they read is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from otelkit.instrument._sql.lexer import LITERAL, MARK, NAME, WORD, Token

__all__ = ["summarise"]

_MAX_LENGTH = 255
_MAX_TARGET = 128
_END: Token = (LITERAL, "")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# First words that name an operation whose targets are not looked for: what follows is a name that
# may be different each time (a savepoint, a user), or a value.
_PLAIN = _words(
    """ABORT ANALYZE BEGIN CHECKPOINT CLOSE CLUSTER COMMENT COMMIT DEALLOCATE DISCARD DO END EXECUTE FETCH
    GRANT IMPORT LISTEN LOAD MOVE NOTIFY REASSIGN REINDEX RELEASE RESET REVOKE ROLLBACK SAVEPOINT SECURITY
    SET SHOW UNLISTEN VACUUM"""
)
_ON_OBJECTS = frozenset({"CREATE", "ALTER", "DROP", "REFRESH"})
# Kinds of objects whose names are few, unlike those of roles or users.
_OBJECTS = _words(
    """TABLE VIEW INDEX SEQUENCE FUNCTION PROCEDURE AGGREGATE TYPE DOMAIN SCHEMA TRIGGER EXTENSION
    POLICY RULE DATABASE"""
)
_OTHER_OBJECTS = _words(
    """ROLE USER GROUP SYSTEM SERVER SUBSCRIPTION PUBLICATION TABLESPACE COLLATION CONVERSION CAST
    OPERATOR LANGUAGE STATISTICS TRANSFORM OWNED ROUTINE DEFAULT LARGE EVENT TEXT ACCESS FOREIGN"""
)
_READING = frozenset({"TABLE", "VIEW"})  # objects that are made from a query
_FILLERS = frozenset({"ONLY", "LATERAL", "IF", "NOT", "EXISTS", "CONCURRENTLY", "TABLE", "INTO", "FROM"})
_ENDS_FROM = _words(
    """WHERE GROUP HAVING ORDER LIMIT OFFSET FETCH FOR WINDOW RETURNING SET UNION INTERSECT EXCEPT VALUES
    WHEN ON"""
)
_BEFORE_OPERATION = frozenset({"", ";", "(", ")", "EXPLAIN", "ANALYZE", "VERBOSE", "AS"})
_STARTS_QUERY = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE", "WITH", "("})


def summarise(tokens: Sequence[Token]) -> tuple[str, str]:
    """The summary of the tokens of a statement or script, and its operation where it has only one.

    Args:
        tokens: Without white space.
    """
    reader = _Reader(tokens)
    reader.read()
    return reader.summary(), reader.operation()


class _Level:
    """What is known inside one pair of parentheses.

    Attributes:
        reads: A query has begun here, so that FROM and JOIN name targets.
        listing: A comma brings another target.
        wants: The next name is a target.
        using: USING names targets, as in DELETE; elsewhere it names columns.
    """

    __slots__ = ("listing", "reads", "using", "wants")

    def __init__(self, *, wants: bool = False) -> None:
        self.reads = wants
        self.listing = wants
        self.wants = wants
        self.using = False


class _Reader:
    """Goes through the tokens once."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._common = _common_names(tokens)
        self._done: list[tuple[str, bool]] = []  # parts of the summary: text, and whether an operation
        self._begin()

    def _begin(self) -> None:
        self._levels = [_Level()]
        self._command = ""
        self._ignored = False
        self._before = ""
        self._now: list[tuple[str, bool]] = []

    def summary(self) -> str:
        shown = ""
        for text, _ in self._done:
            longer = f"{shown} {text}" if shown else text
            if len(longer) > _MAX_LENGTH:
                break
            shown = longer
        return shown

    def operation(self) -> str:
        operations = [text for text, is_operation in self._done if is_operation]
        return operations[0] if len(operations) == 1 else ""

    def read(self) -> None:
        while self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if kind == MARK:
                self._mark(text)
            elif not self._ignored:
                if kind == WORD:
                    self._word(text, text.upper())
                else:
                    self._name_or_value(kind)
            self._before = text.upper()
            self._at += 1
        self._finish()

    def _finish(self) -> None:
        """A script that repeats one statement says it once."""
        if self._now and self._done[-len(self._now) :] != self._now:
            self._done += self._now
        self._begin()

    def _next(self, ahead: int = 1) -> Token:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else _END

    def _next_word(self, ahead: int = 1) -> str:
        return self._next(ahead)[1].upper()

    # -- one token ----------------------------------------------------------------------------

    def _mark(self, text: str) -> None:
        level = self._levels[-1]
        if text == ";":
            self._finish()
        elif text == "(":
            self._levels.append(_Level(wants=level.wants))
            level.wants = False
        elif text == ")":
            if len(self._levels) > 1:
                self._levels.pop()
        elif text == ",":
            level.wants = level.listing

    def _name_or_value(self, kind: int) -> None:
        level = self._levels[-1]
        if level.wants and kind == NAME:
            self._target()
        level.wants = False

    def _word(self, text: str, word: str) -> None:
        level = self._levels[-1]
        begin = None if self._before == "." else _OPERATIONS.get(word)
        if begin is not None and begin(self, text):
            return
        if not self._command:
            self._first(text, word)
        elif word in _CLAUSES:
            _CLAUSES[word](self, level)
        elif level.wants and not self._is_filler(word):
            self._target()
            level.wants = False

    def _is_filler(self, word: str) -> bool:
        """Whether the word stands before a target without being one."""
        if word == "ROWS" and self._next_word() == "FROM":
            return True
        return word in _FILLERS and self._next()[1] not in {"", ".", ",", ";", ")"}

    def _target(self) -> None:
        """Take the name here, with its schema."""
        name = self._tokens[self._at][1]
        while self._next() == (MARK, ".") and self._next(2)[0] in {WORD, NAME}:
            name += "." + self._next(2)[1]
            self._at += 2
        if name.upper() not in self._common and len(name) <= _MAX_TARGET and not name.startswith("$"):
            self._now.append((name, False))

    def _operation(self, text: str, *, command: str = "", wants: bool = False, listing: bool = False) -> bool:
        self._now.append((text, True))
        self._command = self._command or command or text.upper()
        level = self._levels[-1]
        level.wants, level.listing = wants, listing
        level.reads = True
        return True

    # -- the first word of a statement --------------------------------------------------------

    def _first(self, text: str, word: str) -> None:
        if word in _ON_OBJECTS:
            self._on_object(text)
        elif word in _PLAIN:
            self._operation(text)
            self._ignored = True
        elif word in _FIRST:
            _FIRST[word](self, text)
        else:  # no SQL command: whatever it is, it is not shown
            self._command = "?"
            self._ignored = True

    def _on_object(self, text: str) -> None:
        """CREATE, ALTER, DROP or REFRESH: the kind of the object is part of the operation."""
        self._command = text.upper()
        kind = ""
        materialized = ""
        while (token := self._next())[0] == WORD and not kind:
            word = token[1].upper()
            if word == "MATERIALIZED":
                materialized = f"{token[1]} "
            elif word in _OBJECTS or word in _OTHER_OBJECTS:
                kind = f" {materialized}{token[1]}"
            self._at += 1
        known = kind.split()[-1:]
        named = bool(known) and known[0].upper() in _OBJECTS
        self._operation(text + kind, command=text.upper(), wants=named, listing=named)
        self._levels[-1].reads = False
        if not named or known[0].upper() not in _READING:
            self._only_target(named=named)

    def _only_target(self, *, named: bool) -> None:
        """Take the name of the object; the rest of the statement is a definition."""
        while named and self._next_word() in _FILLERS | {"ON"}:
            self._at += 1
        if named and self._next()[0] in {WORD, NAME}:
            self._at += 1
            self._target()
        self._ignored = True

    def _on_targets(self, text: str) -> None:
        self._operation(text, wants=True, listing=True)
        self._levels[-1].reads = False

    def _around_query(self, text: str) -> None:
        self._operation(text)
        self._levels[-1].reads = False

    def _values(self, text: str) -> None:
        self._operation(text)

    def _transaction(self, text: str) -> None:
        self._operation(f"{text} {self._next()[1]}" if self._next_word() == "TRANSACTION" else text)
        self._ignored = True

    def _with(self, text: str) -> None:
        self._command = text.upper()

    # -- operations that may stand anywhere -----------------------------------------------------

    def _select(self, text: str) -> bool:
        if self._before == "." or self._ignored:
            return False
        return self._operation(text)

    def _insert(self, text: str) -> bool:
        return self._begins("INTO") and self._operation(text, wants=True)

    def _update(self, text: str) -> bool:
        return self._begins("") and self._operation(text, wants=True)

    def _delete(self, text: str) -> bool:
        if not (self._begins("FROM") and self._operation(text, wants=True)):
            return False
        self._levels[-1].using = True
        return True

    def _merge(self, text: str) -> bool:
        if not (self._begins("INTO") and self._operation(text, wants=True)):
            return False
        self._levels[-1].using = True
        return True

    def _begins(self, following: str) -> bool:
        """Whether this word begins a statement: it is no reserved word, and may be a column's name."""
        if self._before not in _BEFORE_OPERATION:
            return False
        if following:
            return self._next_word() == following
        return self._next()[0] in {WORD, NAME}

    # -- clauses --------------------------------------------------------------------------------

    def _from(self, level: _Level) -> None:
        if level.reads and self._before != "DISTINCT" and not (level.wants and self._before == "DELETE"):
            level.wants = level.listing = True

    def _join(self, level: _Level) -> None:
        level.wants = level.reads

    def _into(self, level: _Level) -> None:
        level.wants = level.reads

    def _using(self, level: _Level) -> None:
        level.wants = level.using
        level.listing = level.listing or level.using
        level.using = False

    def _end_of_from(self, level: _Level) -> None:
        level.wants = False
        if self._tokens[self._at][1].upper() != "ON":  # a list of targets goes on behind a join's condition
            level.listing = False


def _common_names(tokens: Sequence[Token]) -> frozenset[str]:
    """The names of common table expressions: ``name [(columns)] AS [[NOT] MATERIALIZED] (query``."""
    words = [text.upper() for _, text in tokens]
    if "WITH" not in words:
        return frozenset()
    found = set()
    for at, word in enumerate(words):
        if word != "AS" or not at:
            continue
        after = at + 1
        while words[after : after + 1] in (["NOT"], ["MATERIALIZED"]):
            after += 1
        if words[after : after + 1] == ["("] and _STARTS_QUERY.issuperset(words[after + 1 : after + 2]):
            found.add(words[_behind_columns(words, at - 1)])
    return frozenset(found)


def _behind_columns(words: Sequence[str], at: int) -> int:
    """Where the name is that a list of columns in front of ``at`` belongs to."""
    if words[at] != ")":
        return at
    while at and words[at] != "(":
        at -= 1
    return max(at - 1, 0)


_OPERATIONS: dict[str, Callable[[_Reader, str], bool]] = {
    "SELECT": _Reader._select,
    "INSERT": _Reader._insert,
    "UPDATE": _Reader._update,
    "DELETE": _Reader._delete,
    "MERGE": _Reader._merge,
}
_FIRST: dict[str, Callable[[_Reader, str], None]] = {
    "WITH": _Reader._with,
    "VALUES": _Reader._values,
    "TABLE": _Reader._on_targets,
    "TRUNCATE": _Reader._on_targets,
    "COPY": _Reader._on_targets,
    "LOCK": _Reader._on_targets,
    "CALL": _Reader._on_targets,
    "EXPLAIN": _Reader._around_query,
    "PREPARE": _Reader._around_query,
    "DECLARE": _Reader._around_query,
    "START": _Reader._transaction,
}
_CLAUSES: dict[str, Callable[[_Reader, _Level], None]] = {
    "FROM": _Reader._from,
    "JOIN": _Reader._join,
    "INTO": _Reader._into,
    "USING": _Reader._using,
    **dict.fromkeys(_ENDS_FROM, _Reader._end_of_from),
}
