r"""The `--where` grammar: `FIELD OP VALUE`, such as `taken_at >= 2024-01-01 and folder = ~/Pictures/Rome`.

`and` binds tighter than `or`; there are no parentheses. A value ends at the next `and` or `or` that is followed by a
field and an operator, so it may contain spaces; a quoted value may contain anything, its own quotes doubled. In values
that take wildcards, `*` matches any text, and `\*` is a star; a backslash before either is written twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import FilterError

_START = re.compile(r"\s*(?P<field>[A-Za-z_]+)\s*(?P<op>!=|<=|>=|=|<|>)\s*")
_JOIN = re.compile(r"\s+(?P<word>and|or)\s+(?=[A-Za-z_]+\s*(?:!=|<=|>=|=|<|>))", re.IGNORECASE)
_DANGLING = re.compile(r"\s(?P<word>and|or)$", re.IGNORECASE)
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<value>(?:(?P=quote){2}|(?!(?P=quote)).)*)(?P=quote)""", re.DOTALL)
_SPECIAL = re.compile(r"(?<!\\)(?P<backslashes>\\*)\*|[%_\\]")

MAX_CLAUSES = 50
"""Maximum comparisons in one expression: SQLite limits the nesting of conditions to 1,000."""


@dataclass(frozen=True)
class Clause:
    """One `FIELD OP VALUE`; `op` is `=` for `!=` too. Positions count from 0."""

    expression: str
    field: str
    op: str
    value: str
    field_start: int
    op_start: int
    value_start: int

    def invalid_field(self, problem: str) -> FilterError:
        """Create the error for an invalid field."""
        return _error(self.expression, self.field_start, problem)

    def invalid_value(self, problem: str) -> FilterError:
        """Create the error for an invalid value."""
        return _error(self.expression, self.value_start, problem)

    def require_equality(self) -> None:
        """Reject operators other than = and !=."""
        if self.op != "=":
            raise _error(self.expression, self.op_start, f"{self.field} supports only = and !=, not {self.op}")


def clauses(expression: str) -> Iterator[tuple[str, Clause, bool]]:
    """Yield each clause with the `and` or `or` before it, and whether its operator is `!=`.

    Raises:
        FilterError: the expression does not parse; the message gives the character and what was expected.
    """
    text = expression.encode("utf-8", "replace").decode()
    word, position = "", 0
    for _ in range(MAX_CLAUSES):
        start = _START.match(text, position)
        if start is None or start.end() == len(text):
            error_position = position if start is None else start.end()
            raise _error(text, error_position, "expected FIELD OP VALUE, such as taken_at >= 2024-01-01")
        if text[start.end()] == "=":
            raise _error(text, start.end(), "expected a value after one =; there is no ==")
        value, end = _value(text, start.end())
        op, negated = start["op"], start["op"] == "!="
        positions = start.start("field"), start.start("op"), start.end()
        yield word, Clause(text, start["field"].lower(), "=" if negated else op, value, *positions), negated
        join = _JOIN.match(text, end)
        if join is None:
            if text[end:].strip():
                raise _error(text, end, "expected the end of the filter, or 'and' or 'or' and another FIELD OP VALUE")
            return
        word, position = join["word"].lower(), join.end()
    raise _error(text, position, f"too many comparisons; the limit is {MAX_CLAUSES}")


def like_pattern(value: str) -> str:
    """Translate a value with wildcards into a pattern for LIKE, whose escape character is the backslash."""

    def special(found: re.Match[str]) -> str:
        backslashes = found["backslashes"]
        if backslashes is None:
            return f"\\{found[0]}"
        return "\\\\" * (len(backslashes) // 2) + ("*" if len(backslashes) % 2 else "%")

    return _SPECIAL.sub(special, value)


def _value(text: str, start: int) -> tuple[str, int]:
    """Read the value at a position, without its quotes; return it and the position of its end."""
    if (quote := text[start]) in "'\"":
        quoted = _QUOTED.match(text, start)
        if quoted is None:
            raise _error(text, start, f"the quote {quote} is never closed")
        return quoted["value"].replace(2 * quote, quote), quoted.end()
    join = _JOIN.search(text, start)
    end = join.start() if join else len(text)
    value = text[start:end].strip()
    if (dangling := _DANGLING.search(value)) is not None:
        word = dangling["word"]
        raise _error(
            text, start + dangling.start("word"), f"expected FIELD OP VALUE after {word!r}, or quotes around the value"
        )
    return value, end


def _error(expression: str, position: int, problem: str) -> FilterError:
    return FilterError(f"filter {expression!r}: at character {position + 1}, {problem}")
