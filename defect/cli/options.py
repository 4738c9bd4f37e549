"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from defect.inspection import Message
from defect.weights.index import WEIGHTS_FOLDER

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def path(text: str) -> Path:
    """A path; `~` is the home folder, also in `--out=~/x`, which the shell leaves as it is."""
    return Path(text).expanduser()


def path_or_address(text: str) -> Path | str:
    """A photo's or folder's path, or the address of an object store as it stands."""
    return text if "://" in text else path(text)


def paths_only(sources: list[Path | str]) -> list[Path]:
    """Raises ValueError where one is an address."""
    for source in sources:
        if isinstance(source, str):
            raise ValueError(
                Message(
                    "address_needs_ray",
                    '"{address}" is an address: add `--engine ray --out DIR` to read it.',
                    address=source,
                )
            )
    return [Path(source) for source in sources]


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Adds `--weights`."""
    parser.add_argument(
        "--weights", type=path, default=WEIGHTS_FOLDER, metavar="DIR", help="default: weights/"
    )


def print_skipped(count: int) -> None:
    """Says how many files of folders and archives were left out, if any."""
    if count:
        print(f"{count} {'file' if count == 1 else 'files'} skipped, not pictures by name.")
