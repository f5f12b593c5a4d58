"""What the commands' arguments have in common: one line for a mistake, --json, numbers that are checked."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

Handler = Callable[[argparse.Namespace], dict[str, Any]]


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def command(
    commands: Any, name: str, handler: Handler, display: Callable[[Any], None], text: str, epilog: str = ""
) -> argparse.ArgumentParser:
    """A command with what all share."""
    p = commands.add_parser(name, help=text.split(".")[0], description=text, epilog=epilog)
    p.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    p.set_defaults(handler=handler, show=display)
    return p


def positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e12:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def rate(text: str) -> float | str:
    return text if text == "max" else positive(text)
