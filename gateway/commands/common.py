"""What several commands share. `serve` is among them: nothing here loads typer or rich."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError

from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.service.keys import KeyService
    from gateway.store.database import Database


def fail(message: str) -> NoReturn:
    """Says on standard error what is wrong, and ends with 1."""
    print(f"hedgerow: {message}", file=sys.stderr)
    sys.exit(1)


def say(line: str) -> None:
    """A line of progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def called(command: str) -> str:
    """How a command that lies beside this Python is called from here."""
    beside = Path(sys.executable).with_name(command)
    return str(beside.relative_to(Path.cwd())) if beside.is_file() and beside.is_relative_to(Path.cwd()) else command


def read_settings() -> Settings:
    """The settings. What is wrong with them goes to standard error, and the program ends with 2."""
    try:
        return Settings()
    except ValidationError as error:
        for item in error.errors():
            setting, *place = map(str, item["loc"])
            inside = f", {'.'.join(place)}" if place else ""
            print(f"hedgerow: HEDGEROW_{setting.upper()}{inside}: {item['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        sys.exit(2)


def configured_database() -> "Database":
    """The database that the settings name, open."""
    from gateway.app import StartError, open_configured

    try:
        return open_configured(read_settings())
    except StartError as error:
        fail(str(error))


def configured_keys() -> "KeyService":
    """The API keys in the database that the settings name."""
    from gateway.app import StartError, open_keys

    try:
        return open_keys(read_settings())
    except StartError as error:
        fail(str(error))


def lacking(error: FileNotFoundError) -> str:
    """What the data folder lacks, in a sentence."""
    missing = Path(*Path(str(error.filename or error)).parts[-2:])
    return f"the data folder lacks {missing}; docs/training.md says what belongs in it"


def read_parameters(pairs: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs as a request's parameters. Ends the program for any other form."""
    from gateway.service.errors import ServiceError
    from gateway.service.parameters import from_query

    split = [pair.partition("=") for pair in pairs]
    if any(not equals for _, equals, _ in split):
        fail("a parameter is given as NAME=VALUE")
    try:
        return from_query((name, value) for name, _, value in split)
    except ServiceError as error:
        fail(str(error))
