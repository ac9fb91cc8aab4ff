"""The command line of a command, whose texts and file names may begin with a hyphen."""

from __future__ import annotations

import re
import shlex
from typing import Any

import typer
from typer.core import TyperCommand

_NO_OPTION = re.compile(r"-[^-].+|--.*[^-\w].*")  # several letters after one hyphen, or what no option contains


class Command(TyperCommand):
    """A command that says what to do about an argument such as `-rf.jpg`, which is read as options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  typer exports no such type
        """Parse the arguments.

        Raises:
            typer.BadParameter: an argument was read as options, and they are wrong.
        """
        given = list(args)  # parsing removes them
        try:
            return super().parse_args(ctx, args)
        except Exception as exc:
            wrong = {getattr(exc, "option_name", None), *getattr(getattr(exc, "param", None), "opts", ())}
            for argument in given:
                if _NO_OPTION.fullmatch(argument) and wrong & {argument, *(f"-{letter}" for letter in argument)}:
                    example = f"{ctx.command_path} -- {shlex.quote(argument)}"
                    message = (
                        f"{argument!r} was read as options. Put -- before a text or name that begins with a hyphen"
                    )
                    raise typer.BadParameter(f"{message}: {example}", ctx=ctx) from exc
            raise
