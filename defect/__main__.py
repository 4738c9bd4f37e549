"""`python -m defect …`: argument parsing and printing only; the work is done in the rooms."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from defect.cli.commands import (
    TAUGHT,
    add_engine,
    add_export,
    add_publish,
    add_teach,
    detector,
    inspect_with_ray,
    paths_only,
    place,
    print_skipped,
)
from defect.cli.train import AUTOENCODERS, DETECTORS, add_training, add_weights
from defect.datasets.samples import DataError
from defect.weights.files import WeightsError


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

    add_training(commands)

    inspect = commands.add_parser("inspect", help="inspect photos; exit 3 if one is defective")
    inspect.add_argument("model", choices=[*DETECTORS, TAUGHT])
    inspect.add_argument("category", help="with taught: the file `teach` wrote")
    inspect.add_argument(
        "photos", nargs="+", type=place, metavar="PHOTO", help="files, folders or ZIP archives"
    )
    inspect.add_argument("--threshold", type=float, default=1.0, help="default: 1.0")
    inspect.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write the report here: overlays, masks, report.csv, manifest.json; "
        "as one file if it ends in .zip",
    )
    add_engine(inspect)
    add_weights(inspect)
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
    add_weights(results)
    results.set_defaults(run=_results)

    unbundle = commands.add_parser(
        "unbundle", help="move weights too large to ship to runs/unbundled, keeping their figures"
    )
    unbundle.add_argument("model", choices=AUTOENCODERS)
    unbundle.add_argument("categories", nargs="+", metavar="CATEGORY")
    add_weights(unbundle)
    unbundle.set_defaults(run=_unbundle)

    add_publish(commands)
    add_export(commands)
    add_teach(commands)

    synthesize = commands.add_parser("synthesize", help="render the project's own data sets")
    synthesize.add_argument("folder", type=Path)
    synthesize.add_argument("categories", nargs="*", metavar="CATEGORY", help="default: all four")
    synthesize.add_argument("--seed", type=int, default=0, help="default: 0")
    synthesize.add_argument("--examples", action="store_true", help="the app's examples instead")
    synthesize.set_defaults(run=_synthesize)
    return parser


def _inspect(options: argparse.Namespace) -> int:
    if options.engine == "ray":
        return inspect_with_ray(options)
    from contextlib import nullcontext

    from defect.detectors.stream import Unreadable, inspect_stream
    from defect.imaging.archives import find_photos
    from defect.inspection import check_threshold
    from defect.reports.rows import DEFECTIVE, NOT_READ, describe, row_of_error
    from defect.reports.writer import About, Entry, ReportWriter, entry_of

    check_threshold(options.threshold)
    photos, skipped = find_photos(paths_only(options.photos))
    print_skipped(skipped)
    if not photos:
        raise DataError("There are no photos in the folder given.")
    inspect = detector(options.model, options.category, options.weights)
    model, category = inspect.metadata.model, inspect.metadata.category
    about = About(model, category, options.threshold, inspect.source)
    verdicts = set()
    with ReportWriter(options.out, about) if options.out else nullcontext() as report:
        for given, result in inspect_stream(inspect, photos):
            if isinstance(result, Unreadable):
                row = row_of_error(given.name, result.error, model, category)
                entry = Entry(row, given.name)
                print(f"{given.name}: not read. {result.error}")
                verdicts.add(NOT_READ)
            else:
                result = result.at(options.threshold)
                if report:
                    entry = entry_of(result)
                verdicts.add(DEFECTIVE if result.defective else "")
                word = "defective" if result.defective else "normal"
                print(f"{given.name}: {word}. {describe(result)}")
            if report:
                report.add(entry)
    return 3 if DEFECTIVE in verdicts else 1 if NOT_READ in verdicts else 0


def _results(options: argparse.Namespace) -> int:
    from defect.evaluation import scorecard as results

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
    from defect.evaluation.scorecard import unbundle

    for name in options.categories:
        unbundle(options.weights, options.model, name)
    return 0


def _synthesize(options: argparse.Namespace) -> int:
    from defect.datasets import rendered as synthetic

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
