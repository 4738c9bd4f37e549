"""`python -m defect …`: argument parsing and printing only; the work is done in the rooms."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from defect.datasets.samples import DataError
from defect.weights import WEIGHTS_FOLDER, WeightsError, read_index

if TYPE_CHECKING:
    from defect.training.autoencoder import Recipe

_AUTOENCODERS = ["cae", "vae", "dae"]
_DETECTORS = [*_AUTOENCODERS, "memory"]


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
    train.add_argument(
        "model",
        choices=[*_DETECTORS, "cnn", "encoder", "extractor", "all"],
        help="encoder: what a dae starts from; extractor: what a memory looks through; all: every "
        "model on every category, also measured; what is done is left out",
    )
    train.add_argument(
        "categories",
        nargs="*",
        metavar="CATEGORY",
        help="folders in --data; none for cnn; none for all means every one",
    )
    train.add_argument(
        "--models", nargs="+", choices=_DETECTORS, help="with all: only these", default=None
    )
    train.add_argument(
        "--again", action="store_true", help="with all: train also what there are weights for"
    )
    train.add_argument(
        "--teacher",
        type=Path,
        metavar="FILE",
        help="with encoder and extractor: SqueezeNet 1.1's ImageNet weights as safetensors",
    )
    train.add_argument(
        "--epochs", type=_positive, help="default: 40, 48 for cnn, 14 for encoder, 8 for extractor"
    )
    train.add_argument("--seed", type=int, default=0, help="default: 0")
    _add_data(train)
    _add_weights(train)
    train.set_defaults(run=_train)

    evaluate = commands.add_parser(
        "evaluate", help="measure models on their test photos and note it in their files"
    )
    evaluate.add_argument(
        "model",
        choices=[*_DETECTORS, "all"],
        help="all: every model there are weights and test photos for",
    )
    evaluate.add_argument("categories", nargs="*", metavar="CATEGORY", help="none only with all")
    _add_data(evaluate)
    _add_weights(evaluate)
    evaluate.set_defaults(run=_evaluate)

    transfer = commands.add_parser(
        "transfer", help="measure every model on KolektorSDD or KolektorSDD2, unseen in training"
    )
    transfer.add_argument(
        "--save", action="store_true", help="note the figures in the weights' headers"
    )
    _add_data(transfer)
    _add_weights(transfer)
    transfer.set_defaults(run=_transfer)

    inspect = commands.add_parser("inspect", help="inspect photos; exit 3 if one is defective")
    inspect.add_argument("model", choices=_DETECTORS)
    inspect.add_argument("category")
    inspect.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="files or folders")
    inspect.add_argument("--threshold", type=float, default=1.0, help="default: 1.0")
    inspect.add_argument("--csv", type=Path, metavar="FILE", help="write the table here")
    inspect.add_argument("--overlays", type=Path, metavar="DIR", help="write overlays here")
    _add_weights(inspect)
    inspect.set_defaults(run=_inspect)

    results = commands.add_parser("results", help="print the figures in the weights' own headers")
    results.add_argument("--json", type=Path, metavar="FILE", help="write everything here")
    results.add_argument("--csv", type=Path, metavar="FILE", help="write the scorecard here")
    results.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="put the scorecard between the marks <!-- scorecard --> and <!-- /scorecard -->",
    )
    _add_weights(results)
    results.set_defaults(run=_results)

    unbundle = commands.add_parser(
        "unbundle", help="remove weights too large to ship, keeping their figures"
    )
    unbundle.add_argument("model", choices=_AUTOENCODERS)
    unbundle.add_argument("categories", nargs="+", metavar="CATEGORY")
    _add_weights(unbundle)
    unbundle.set_defaults(run=_unbundle)

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
    from defect.training import encoder, extractor, memories, run, steel
    from defect.training.autoencoder import Recipe

    data = _data(options)
    pupil = options.model in ("encoder", "extractor")
    if pupil != (options.teacher is not None):
        raise DataError("`train encoder` or `train extractor`, and --teacher FILE, go together.")
    chosen = {"seed": options.seed} | ({"epochs": options.epochs} if options.epochs else {})
    if options.model == "all":
        return _train_all(options, data, Recipe(**chosen))
    if options.models or options.again:
        raise DataError("--models and --again go with `train all`.")
    if (pupil or options.model == "cnn") and options.categories:
        raise DataError(f"There are no categories for `train {options.model}`; leave them out.")
    if options.model == "encoder":
        entries = [encoder.train_and_save(data, options.teacher, options.weights, **chosen)]
    elif options.model == "extractor":
        entries = [extractor.train_and_save(data, options.teacher, options.weights, **chosen)]
    elif options.model == "memory" and options.categories:
        teach, names = memories.teach_and_save, options.categories
        entries = [teach(name, data, options.weights, options.seed) for name in names]
    elif options.model == "cnn":
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


def _train_all(options: argparse.Namespace, data: Path, recipe: Recipe) -> int:
    from defect.networks import DETECTORS, MODELS
    from defect.taught import EXTRACTOR
    from defect.training import grid

    listed = {(entry.model, entry.category) for entry in read_index(options.weights)}
    # Without an extractor nothing can be taught.
    models = options.models or [*(DETECTORS if EXTRACTOR in listed else MODELS)]
    jobs = grid.plan(data, options.weights, models, options.categories, again=options.again)
    print(grid.describe(jobs, recipe.epochs))
    return 0 if grid.run_grid(jobs, data, options.weights, recipe) else 1


def _evaluate(options: argparse.Namespace) -> int:
    from defect.evaluation.protocol import evaluate, has_test
    from defect.results import summary

    data = _data(options)
    pairs = [(options.model, name) for name in options.categories]
    if options.model == "all":
        # By category, as its mean training photo is kept from one model to the next.
        entries = sorted(read_index(options.weights), key=lambda e: (e.category, e.model))
        pairs = [
            (entry.model, entry.category)
            for entry in entries
            if entry.category in (options.categories or [entry.category])
            and has_test(data, entry.category)
        ]
    if not pairs:
        raise DataError(
            "There are test photos for none of the weights in the data folder."
            if options.model == "all"
            else f"Which category? Such as: python -m defect evaluate {options.model} bottle"
        )
    for model, name in pairs:
        print(summary(evaluate(model, name, data, options.weights)), flush=True)
    return 0


def _transfer(options: argparse.Namespace) -> int:
    from defect.datasets import kolektor
    from defect.evaluation.transfer import save_transfer, transfer, transfer_line, transfer_means

    samples = kolektor.samples(_data(options))
    dataset = kolektor.dataset_name(options.data)
    defective = sum(sample.defective for sample in samples)
    print(f"{dataset}: {len(samples)} photos, {defective} defective")
    results = []
    for result in transfer(samples, options.weights):
        print(transfer_line(result), flush=True)
        results.append(result)
        if options.save:
            save_transfer(result, dataset, options.weights)
    print("\n".join(transfer_means(results)))
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
    from defect import results

    found = results.read_results(options.weights)
    if options.json:
        options.json.write_text(results.to_json(found), encoding="utf-8")
    if options.csv:
        options.csv.write_text(results.to_csv(results.rows(found)), encoding="utf-8")
    if options.markdown:
        table = results.to_markdown(
            results.rows(found), results.steel_of(found), results.transfer_means(found)
        )
        text = options.markdown.read_text(encoding="utf-8")
        options.markdown.write_text(results.put_scorecard(text, table), encoding="utf-8")
    if not (options.json or options.csv or options.markdown):
        print(results.to_text(found))
    return 0


def _unbundle(options: argparse.Namespace) -> int:
    from defect.results import unbundle

    for name in options.categories:
        unbundle(options.weights, options.model, name)
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
