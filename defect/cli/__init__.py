"""`python -m defect …`: argument parsing and printing only; the work is done in the other rooms."""

from __future__ import annotations

import argparse
import sys

from defect.cli import inspect, publish, results, teach, train
from defect.weights.errors import WeightsError


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    options = _parser().parse_args(arguments)
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
        prog="python -m defect", description="Finds defects in photos of industrial products."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for family in (inspect, teach, train, results, publish):
        family.add_commands(commands)
    return parser
