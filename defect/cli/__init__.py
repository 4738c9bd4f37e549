"""`python -m defect …`: argument parsing and printing only; the work is done in the other rooms."""

from __future__ import annotations

import argparse
import io
import sys

from defect.cli import check, inspect, publish, results, teach, train
from defect.weights.errors import WeightsError


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file's name that the terminal cannot show must not end a batch.
            stream.reconfigure(errors="backslashreplace")
    try:
        status: int = options.run(options)
        return status
    except (WeightsError, ValueError, OSError) as error:
        print(f"defect: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndefect: stopped. (Run a training again to resume it.)")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m defect",
        description="Finds defects in photos of industrial products.",
        epilog="Exit status: 0 done; 1 an error, or problems found by `check`; 2 a wrong command "
        "line; of `inspect` also 3 defects found, 4 some photos not read; 130 interrupted.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for family in (inspect, teach, check, train, results, publish):
        family.add_commands(commands)
    return parser
