"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from defect.inspection import Message
from defect.weights.index import WEIGHTS_FOLDER

LISTED = 10
"""Names printed before the rest is only counted."""

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


def add_bit_depth(parser: argparse.ArgumentParser, default: str) -> None:
    """Adds `--bit-depth`."""
    parser.add_argument(
        "--bit-depth",
        type=int,
        choices=range(8, 17),
        metavar="BITS",
        help="of the camera, 8 to 16, where its values lie unscaled in 16-bit files; "
        f"default: {default}",
    )


def print_skipped(skipped: Sequence[str]) -> bool:
    """Names the files of folders and archives that were left out, if any.

    Returns:
        Whether pictures are among them, of formats that are not read.
    """
    from defect.imaging.archives import unread_pictures

    unread = unread_pictures(skipped)
    others = [name for name in skipped if name not in unread]
    if others:
        print(f"{_files(len(others))} skipped, not pictures by name: {_listed(others)}.")
    if unread:
        print(f"{_files(len(unread))} not read, of a format not taken: {_listed(unread)}.")
    return bool(unread)


def print_problems(problems: Iterable[str]) -> None:
    """Says what is odd about data, if anything, before it is used."""
    for problem in problems:
        print(f"Check: {problem}", flush=True)


def _files(count: int) -> str:
    return f"{count} {'file' if count == 1 else 'files'}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
