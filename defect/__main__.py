"""`python -m defect …`: argument parsing and printing only; the work is done in the rooms."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from defect.datasets.samples import DataError
from defect.weights import WEIGHTS_FOLDER, WeightsError, read_index, read_metadata


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
        print("\ndefect: stopped. (A training goes on where it was if you run it again.)")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m defect", description="Finds defects in photos of industrial products."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train a model, calibrate it and save its weights")
    train.add_argument("model", choices=["cae", "vae", "dae", "cnn"])
    train.add_argument(
        "categories", nargs="*", metavar="CATEGORY", help="folders in --data; none for cnn"
    )
    train.add_argument("--epochs", type=_positive, help="default: 40, or 48 for cnn")
    train.add_argument("--seed", type=int, default=0, help="default: 0")
    _add_data(train)
    _add_weights(train)
    train.set_defaults(run=_train)

    evaluate = commands.add_parser(
        "evaluate", help="measure models on their test photos and note it in their files"
    )
    evaluate.add_argument("model", choices=["cae", "vae", "dae"])
    evaluate.add_argument("categories", nargs="+", metavar="CATEGORY")
    _add_data(evaluate)
    _add_weights(evaluate)
    evaluate.set_defaults(run=_evaluate)

    transfer = commands.add_parser(
        "transfer", help="measure every model on KolektorSDD or KolektorSDD2, unseen in training"
    )
    _add_data(transfer)
    _add_weights(transfer)
    transfer.set_defaults(run=_transfer)

    inspect = commands.add_parser("inspect", help="inspect photos; exit 3 if one is defective")
    inspect.add_argument("model", choices=["cae", "vae", "dae"])
    inspect.add_argument("category")
    inspect.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="files or folders")
    inspect.add_argument("--threshold", type=float, default=1.0, help="default: 1.0")
    inspect.add_argument("--csv", type=Path, metavar="FILE", help="write the table here")
    inspect.add_argument("--overlays", type=Path, metavar="DIR", help="write overlays here")
    _add_weights(inspect)
    inspect.set_defaults(run=_inspect)

    results = commands.add_parser("results", help="print the figures in the weights' own headers")
    _add_weights(results)
    results.set_defaults(run=_results)

    synthesize = commands.add_parser("synthesize", help="render the project's own data sets")
    synthesize.add_argument("folder", type=Path)
    synthesize.add_argument("categories", nargs="*", metavar="CATEGORY", help="default: all four")
    synthesize.add_argument("--seed", type=int, default=0, help="default: 0")
    synthesize.add_argument("--examples", action="store_true", help="the app's examples instead")
    synthesize.set_defaults(run=_synthesize)
    return parser


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


def _add_data(parser: argparse.ArgumentParser) -> None:
    default = os.environ.get("DEFECT_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(default) if default else None,
        metavar="DIR",
        help="folder of categories in MVTec AD layout, or of NEU classes (default: $DEFECT_DATA)",
    )


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
    from defect.training import run, steel
    from defect.training.autoencoder import Recipe

    data = _data(options)
    chosen = {"seed": options.seed} | ({"epochs": options.epochs} if options.epochs else {})
    if options.model == "cnn" and options.categories:
        raise DataError("The classifier has no categories: python -m defect train cnn --data DIR")
    if options.model == "cnn":
        recipe = steel.SteelRecipe(**chosen)
        entries = [steel.train_and_save(data, options.weights, recipe, run.RUNS_FOLDER)]
    elif options.categories:
        entries = [
            run.train_and_save(options.model, name, data, options.weights, Recipe(**chosen))
            for name in options.categories
        ]
    else:
        raise DataError(f"Which category? Such as: python -m defect train {options.model} bottle")
    for entry in entries:
        print(f"{entry.file}: {entry.size / 1e6:.1f} MB, sha256 {entry.sha256[:12]}…")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from defect.evaluation.protocol import evaluate, summary

    for name in options.categories:
        metadata = evaluate(options.model, name, _data(options), options.weights)
        print(summary(metadata))
    return 0


def _transfer(options: argparse.Namespace) -> int:
    from defect.datasets import kolektor
    from defect.evaluation.transfer import transfer, transfer_line

    samples = kolektor.samples(_data(options))
    defective = sum(sample.defective for sample in samples)
    print(f"{len(samples)} photos, {defective} defective")
    for result in transfer(samples, options.weights):
        print(transfer_line(result))
    return 0


def _inspect(options: argparse.Namespace) -> int:
    from PIL import Image

    from defect import load
    from defect.images import ImageError
    from defect.overlay import draw_overlay
    from defect.report import describe, row_of, row_of_error, to_csv

    inspect = load(options.model, options.category, folder=options.weights)
    rows = []
    for path in _photos(options.photos):
        try:
            result = inspect(path).at(options.threshold)
        except ImageError as error:
            rows.append(row_of_error(path.name, error, options.model, options.category))
            print(f"{path.name}: not read. {error}")
            continue
        rows.append(row_of(result))
        print(f"{path.name}: {rows[-1].verdict}. {describe(result)}")
        if options.overlays:
            options.overlays.mkdir(parents=True, exist_ok=True)
            drawn = draw_overlay(result.photo, result.anomaly_map, result.limit)
            # Numbered, as photos of two folders may share a name.
            target = options.overlays / f"{len(rows):04d}_{path.stem}.jpg"
            Image.fromarray(drawn).save(target, quality=92)
    if options.csv:
        options.csv.write_text(to_csv(rows), encoding="utf-8")
    verdicts = {row.verdict for row in rows}
    return 3 if "defective" in verdicts else 1 if "not read" in verdicts else 0


def _photos(given: list[Path]) -> list[Path]:
    """Files as given, folders as the photos in them."""
    from defect.images import SUFFIXES

    found: list[Path] = []
    for path in given:
        inside = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
        photos = [p for p in inside if p == path or p.suffix.lower() in SUFFIXES]
        if len(photos) < len(inside):
            print(f"{path.name}: {len(inside) - len(photos)} files skipped, not pictures by name.")
        found += photos
    if not found:
        raise DataError("There are no photos in the folder given.")
    return found


def _results(options: argparse.Namespace) -> int:
    from defect.evaluation.protocol import steel_summary, summary

    for entry in read_index(options.weights):
        metadata = read_metadata(options.weights / entry.file)
        print(steel_summary(metadata) if entry.model == "cnn" else summary(metadata))
    return 0


def _synthesize(options: argparse.Namespace) -> int:
    from defect.datasets import synthetic

    if options.examples:
        synthetic.write_examples(options.folder)
        print("Rendered the app's examples.")
        return 0
    chosen = options.categories or list(synthetic.CATEGORIES)
    synthetic.write_dataset(options.folder, chosen, seed=options.seed)
    print(f"Rendered {', '.join(chosen)} in MVTec AD layout.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
