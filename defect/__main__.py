"""`python -m defect …`: argument parsing only; the work is done in the rooms."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from defect.datasets.samples import DataError
from defect.weights import WEIGHTS_FOLDER, WeightsError


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        return status
    except (DataError, WeightsError, ValueError, OSError) as error:
        print(f"defect: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndefect: stopped. Run the same command to go on.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m defect", description="Finds defects in photos of industrial products."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train a model")
    train.add_argument("model", choices=["cae", "vae", "dae", "cnn"])
    train.add_argument("categories", nargs="*", metavar="CATEGORY")
    train.add_argument("--epochs", type=int, help="default: 40, or 24 for the classifier")
    train.add_argument("--seed", type=int, default=0)
    _add_data(train)
    _add_weights(train)
    train.set_defaults(run=_train)
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    default = os.environ.get("DEFECT_DATA")
    parser.add_argument(
        "--data", type=Path, default=Path(default) if default else None, metavar="DIR",
        help="folder of categories in MVTec AD layout, or of NEU classes (default: $DEFECT_DATA)",
    )  # fmt: skip


def _add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS_FOLDER, metavar="DIR", help="default: weights/"
    )


def _data(options: argparse.Namespace) -> Path:
    if options.data is None:
        raise DataError("Where is the data? Give --data DIR or set DEFECT_DATA.")
    if not options.data.is_dir():
        raise DataError(f'There is no folder "{options.data}". Check --data.')
    folder: Path = options.data
    return folder


def _train(options: argparse.Namespace) -> int:
    from defect.training import autoencoder, run

    recipe = autoencoder.Recipe(seed=options.seed)
    if options.epochs:
        recipe = autoencoder.Recipe(epochs=options.epochs, seed=options.seed)
    for category in options.categories:
        entry = run.train_and_save(
            options.model, category, _data(options), options.weights, recipe
        )
        print(f"{entry.file}: {entry.size / 1e6:.1f} MB, sha256 {entry.sha256[:12]}…")
    return 0


if __name__ == "__main__":
    sys.exit(main())
