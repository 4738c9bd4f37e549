"""`train`, `evaluate`, `transfer` and `synthesize`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from defect.cli.options import add_weights, path, print_problems
from defect.inspection import Message
from defect.weights.index import IndexEntry, read_index

if TYPE_CHECKING:
    from defect.cli.options import Commands
    from defect.training.loop import Recipe

AUTOENCODERS = ["cae", "vae", "dae"]
DETECTORS = [*AUTOENCODERS, "memory"]


def add_commands(commands: Commands) -> None:
    """Adds `train`, `evaluate`, `transfer` and `synthesize`."""
    train = commands.add_parser("train", help="train a model, calibrate it and save its weights")
    train.add_argument(
        "model",
        choices=[*DETECTORS, "cnn", "encoder", "extractor", "all"],
        help="encoder: what a dae starts from; extractor: what memories compute features with; "
        "all: every model on every category, also measured; what is done is left out",
    )
    train.add_argument(
        "categories",
        nargs="*",
        metavar="CATEGORY",
        help="folders in --data; none for cnn; none for all means every one",
    )
    train.add_argument(
        "--models", nargs="+", choices=DETECTORS, help="with all: only these", default=None
    )
    train.add_argument(
        "--again", action="store_true", help="with all: train also what there are weights for"
    )
    train.add_argument(
        "--teacher",
        type=path,
        metavar="FILE",
        help="with encoder: SqueezeNet 1.1's ImageNet weights as safetensors",
    )
    train.add_argument("--epochs", type=_positive, help="default: 40, 48 for cnn, 14 for encoder")
    train.add_argument("--seed", type=int, default=0, help="default: 0")
    _add_data(train)
    add_weights(train)
    train.set_defaults(run=_train)

    evaluate = commands.add_parser(
        "evaluate", help="measure models on their test photos and note it in their files"
    )
    evaluate.add_argument(
        "model",
        choices=[*DETECTORS, "cnn", "all"],
        help="all: every detector there are weights and test photos for",
    )
    evaluate.add_argument(
        "categories", nargs="*", metavar="CATEGORY", help="none for cnn; none for all: every one"
    )
    evaluate.add_argument(
        "--others",
        type=path,
        metavar="DIR",
        help="with cnn: categories in MVTec AD layout whose test photos show none of its classes",
    )
    _add_data(evaluate)
    add_weights(evaluate)
    evaluate.set_defaults(run=_evaluate)

    transfer = commands.add_parser(
        "transfer", help="measure every model on KolektorSDD or KolektorSDD2, unseen in training"
    )
    transfer.add_argument(
        "--save", action="store_true", help="note the figures in the weights' headers"
    )
    _add_data(transfer)
    add_weights(transfer)
    transfer.set_defaults(run=_transfer)

    synthesize = commands.add_parser("synthesize", help="render the project's own data sets")
    synthesize.add_argument("folder", type=path)
    synthesize.add_argument("categories", nargs="*", metavar="CATEGORY", help="default: all four")
    synthesize.add_argument("--seed", type=int, default=0, help="default: 0")
    synthesize.add_argument("--examples", action="store_true", help="the app's examples instead")
    synthesize.set_defaults(run=_synthesize)


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


def _add_data(parser: argparse.ArgumentParser) -> None:
    default = os.environ.get("DEFECT_DATA")
    parser.add_argument(
        "--data",
        type=path,
        default=path(default) if default else None,
        metavar="DIR",
        help="folder of categories in MVTec AD layout, or of NEU classes (default: $DEFECT_DATA)",
    )


def _data(options: argparse.Namespace) -> Path:
    if options.data is None:
        raise ValueError(
            Message(
                "where_data_give_data", "Where is the data? Give --data DIR or set DEFECT_DATA."
            )
        )
    if not options.data.is_dir():
        raise ValueError(
            Message(
                "folder_check_data", 'There is no folder "{data}". Check --data.', data=options.data
            )
        )
    folder: Path = options.data
    return folder


def _train(options: argparse.Namespace) -> int:
    from defect.training import autoencoder, encoder, extractor, memory, steel

    if options.model == "extractor":
        _print_entries([extractor.make_and_save(options.weights)])
        return 0
    data = _data(options)
    if (options.model == "encoder") != (options.teacher is not None):
        raise ValueError(
            Message("teacher_with_encoder", "`train encoder` and --teacher FILE go together.")
        )
    chosen = {"seed": options.seed} | ({"epochs": options.epochs} if options.epochs else {})
    if options.model in (*DETECTORS, "all"):
        _check(data, options.categories)
    if options.model == "all":
        return _train_all(options, data, replace(autoencoder.RECIPE, **chosen))
    if options.models or options.again:
        raise ValueError("--models and --again go with `train all`.")
    if options.model in ("encoder", "cnn") and options.categories:
        raise ValueError(
            Message(
                "categories_train_leave_them",
                "There are no categories for `train {model}`; leave them out.",
                model=options.model,
            )
        )
    if options.model == "encoder":
        recipe = replace(encoder.RECIPE, **chosen)
        entries = [encoder.train_and_save(data, options.teacher, options.weights, recipe)]
    elif options.model == "memory" and options.categories:
        teach, names = memory.teach_and_save, options.categories
        entries = [teach(name, data, options.weights, options.seed) for name in names]
    elif options.model == "cnn":
        from defect.evaluation.steel import evaluate_classifier

        recipe = replace(steel.RECIPE, **chosen)
        steel.train_and_save(data, options.weights, recipe)
        evaluate_classifier(data, options.weights)
        # The figures changed the file.
        entries = [entry for entry in read_index(options.weights) if entry.model == steel.MODEL]
    elif options.categories:
        recipe = replace(autoencoder.RECIPE, **chosen)
        entries = [
            autoencoder.train_and_save(options.model, name, data, options.weights, recipe)
            for name in options.categories
        ]
    else:
        raise ValueError(
            Message(
                "which_category_such_as",
                "Which category? Such as: python -m defect train {model} bottle",
                model=options.model,
            )
        )
    _print_entries(entries)
    return 0


def _check(data: Path, categories: Sequence[str]) -> None:
    """Says what is odd about the data before hours are spent on it."""
    from defect.datasets import mvtec
    from defect.datasets.check import check_folder

    known = mvtec.list_categories(data)
    chosen = [name for name in categories or known if name in known]
    if chosen:  # else the training says what is missing
        print_problems(check_folder(data, chosen).problems)


def _print_entries(entries: Iterable[IndexEntry]) -> None:
    for entry in entries:
        print(f"{entry.file}: {entry.size / 1e6:.1f} MB, sha256 {entry.sha256[:12]}…")


def _train_all(options: argparse.Namespace, data: Path, recipe: Recipe) -> int:
    from defect.detectors.feature_extractors import EXTRACTOR
    from defect.detectors.registry import DETECTORS
    from defect.evaluation.protocol import evaluate
    from defect.evaluation.scorecard import summary
    from defect.networks.autoencoders import AUTOENCODERS
    from defect.training import grid

    def evaluated(model: str, category: str) -> str:
        return summary(evaluate(model, category, data, options.weights))

    listed = {(entry.model, entry.category) for entry in read_index(options.weights)}
    # Without an extractor nothing can be taught.
    models = options.models or [*(DETECTORS if EXTRACTOR in listed else AUTOENCODERS)]
    jobs = grid.plan(data, options.weights, models, options.categories, again=options.again)
    print(grid.format_plan(jobs, recipe.epochs))
    return 0 if grid.run_grid(jobs, data, options.weights, recipe, evaluated) else 1


def _evaluate(options: argparse.Namespace) -> int:
    from defect.evaluation.protocol import evaluate, has_test
    from defect.evaluation.scorecard import summary

    data = _data(options)
    if options.model == "cnn":
        return _evaluate_cnn(options, data)
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
        raise ValueError(
            "There are test photos for none of the weights in the data folder."
            if options.model == "all"
            else f"Which category? Such as: python -m defect evaluate {options.model} bottle"
        )
    for model, name in pairs:
        print(summary(evaluate(model, name, data, options.weights)), flush=True)
    return 0


def _evaluate_cnn(options: argparse.Namespace, data: Path) -> int:
    from defect.datasets import mvtec
    from defect.evaluation.scorecard import steel_lines
    from defect.evaluation.steel import evaluate_classifier

    if options.categories:
        raise ValueError(
            Message(
                "categories_evaluate_cnn_leave",
                "There are no categories for `evaluate cnn`; leave them out.",
            )
        )
    others = {}
    if options.others:
        names = mvtec.list_categories(options.others)
        others = {name: mvtec.test_samples(options.others, name) for name in names}
    print("\n".join(steel_lines(evaluate_classifier(data, options.weights, others))))
    return 0


def _transfer(options: argparse.Namespace) -> int:
    from defect.datasets import kolektor
    from defect.evaluation.transfer import (
        save_transfer,
        transfer,
        transfer_line,
        transfer_means,
    )

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


def _synthesize(options: argparse.Namespace) -> int:
    from defect.datasets import rendered

    if options.examples:
        rendered.write_examples(options.folder)
        print("Rendered the app's examples.")
        return 0
    chosen = options.categories or list(rendered.CATEGORIES)
    rendered.write_dataset(options.folder, chosen, seed=options.seed)
    print(f"Rendered {', '.join(chosen)} in MVTec AD layout.")
    return 0
