"""Commands of `python -m defect` that have a room of their own: argument parsing and printing."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from defect.weights.files import WEIGHTS_FOLDER

if TYPE_CHECKING:
    from defect.detectors.autoencoder import AutoencoderDetector
    from defect.detectors.memory_detector import MemoryDetector

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

TAUGHT = "taught"
"""In place of a model's name: a detector of one's own, by its file."""


def add_publish(commands: Commands) -> None:
    """Adds `publish`."""
    parser = commands.add_parser(
        "publish", help="upload what changed in the weights to the Hub, and pin the app to it"
    )
    parser.add_argument("repo", metavar="OWNER/NAME", help="made if there is none")
    parser.add_argument("--dry-run", action="store_true", help="only show what would go up")
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS_FOLDER, metavar="DIR", help="default: weights/"
    )
    parser.set_defaults(run=_publish)


def add_teach(commands: Commands) -> None:
    """Adds `teach`."""
    parser = commands.add_parser(
        "teach", help="a detector for your own part, from good photos of it alone"
    )
    parser.add_argument(
        "photos", nargs="+", type=place, metavar="PHOTO", help="good ones: files, folders, ZIPs"
    )
    parser.add_argument("--name", default="my part", help="of the part; default: my part")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: NAME.safetensors")
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS_FOLDER, metavar="DIR", help="default: weights/"
    )
    parser.set_defaults(run=_teach)


def add_export(commands: Commands) -> None:
    """Adds `export`."""
    parser = commands.add_parser(
        "export", help="one model and category as an ONNX file: photo in, score and map out"
    )
    parser.add_argument("model", choices=["cae", "vae", "dae", "memory", TAUGHT])
    parser.add_argument("category", help="with taught: the file `teach` wrote")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: MODEL_CATEGORY.onnx")
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS_FOLDER, metavar="DIR", help="default: weights/"
    )
    parser.set_defaults(run=_export)


def place(text: str) -> Path | str:
    """A photo's or folder's path, or the address of an object store as it stands."""
    return text if "://" in text else Path(text)


def paths_only(places: list[Path | str]) -> list[Path]:
    """Raises ValueError where one is an address."""
    for given in places:
        if isinstance(given, str):
            raise ValueError(f'"{given}" is an address: add `--engine ray --out DIR` to read it.')
    return [Path(given) for given in places]


def print_skipped(count: int) -> None:
    """Says how many files of folders and archives were left out, if any."""
    if count:
        print(f"{count} {'file' if count == 1 else 'files'} skipped, not pictures by name.")


def add_engine(inspect: argparse.ArgumentParser) -> None:
    """Adds to `inspect` what runs it with several workers."""
    inspect.add_argument(
        "--engine",
        choices=["here", "ray"],
        default="here",
        help="ray: several workers, resumes, takes s3://, gs:// and other addresses; needs --out",
    )
    inspect.add_argument("--workers", type=int, metavar="N", help="of ray; default: one a core")


def detector(model: str, category: str, weights: Path) -> AutoencoderDetector | MemoryDetector:
    """What `inspect` looks through: of `TAUGHT`, `category` is the detector's file.

    Raises:
        WeightsError: there is none, or it must not be used.
    """
    if model == TAUGHT:
        from defect.training.teaching import load_taught_file

        return load_taught_file(category, weights).inspector
    from defect import load

    return load(model, category, folder=weights)  # type: ignore[call-overload]


def inspect_with_ray(options: argparse.Namespace) -> int:
    """`inspect --engine ray`; the exit status is the single process's."""
    from defect.datasets.samples import DataError
    from defect.imaging.buckets import find
    from defect.reports.ray_engine import Progress, inspect_parts, require_ray
    from defect.reports.rows import DEFECTIVE, NOT_READ

    require_ray()
    if options.model == TAUGHT:
        raise ValueError("Ray's workers load no taught detector. Leave out `--engine ray`.")
    if options.out is None:
        raise ValueError("Ray writes its parts and the report into a folder: give --out DIR.")
    photos, skipped = find(options.photos)
    print_skipped(skipped)
    if not photos:
        raise DataError("There are no photos in the folder given.")
    verdicts: dict[str, int] = {}
    for state in inspect_parts(
        photos,
        options.model,
        options.category,
        options.out,
        threshold=options.threshold,
        workers=options.workers or os.cpu_count() or 1,
        weights=options.weights,
    ):
        if isinstance(state, Progress):
            before = f", {state.resumed} of them by an earlier run" if state.resumed else ""
            print(f"{state.done} of {state.total} photos{before}", flush=True)
        else:
            verdicts = dict(state)
    print(", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items())) + ".")
    return 3 if DEFECTIVE in verdicts else 1 if NOT_READ in verdicts else 0


def _teach(options: argparse.Namespace) -> int:
    from defect.imaging.archives import find_photos
    from defect.training.teaching import false_alarm_odds, teach

    photos, skipped = find_photos(paths_only(options.photos))
    print_skipped(skipped)
    product = teach(photos, options.name, folder=options.weights)
    path = options.out or Path(f"{product.name}.safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(product.file)
    count = product.photos
    print(
        f"{path}: taught in {product.seconds:.0f} s from {count} "
        f"{'photo' if count == 1 else 'photos'}; expect about 1 false alarm in {false_alarm_odds(count)}."
    )
    for note in product.notes:
        print(note)
    for odd in product.odd:
        print(f"Please check {product.names[odd.index]}: it {odd.reason}")
    if product.odd:
        print("Unless good, leave them out and teach again: what looks like them passes as normal.")
    print(f"Inspect with it: python -m defect inspect taught {path} PHOTOS")
    return 0


def _export(options: argparse.Namespace) -> int:
    from defect.weights.onnx_export import export

    inspector = detector(options.model, options.category, options.weights)
    path = options.out or Path(f"{options.model}_{inspector.metadata.category}.onnx")
    size = export(inspector, path)
    print(
        f"{path}: {size / 1e6:.1f} MB. Input: photo, 1×256×256×3 uint8 RGB. Outputs, in multiples "
        f"of the normal limit: score (1.0 and above is defective), anomaly_map 1×256×256."
    )
    return 0


def _publish(options: argparse.Namespace) -> int:
    from defect.evaluation.scorecard import UNBUNDLED_FOLDER
    from defect.weights.publish import describe, plan, publish

    planned = plan(options.repo, options.weights, UNBUNDLED_FOLDER)
    print(describe(planned))
    if options.dry_run:
        print("A dry run: nothing was uploaded.")
        return 0
    revision = publish(planned, options.weights)
    print(f"Published as {planned.repo} at {revision}; weights/index.json now says so.")
    files = ",".join(entry.file for entry in planned.only_on_hub)
    if files:
        print(
            "To have a Space fetch these while it is built, add to README.md's head:\n"
            f"models:\n  - {planned.repo}\npreload_from_hub:\n  - {planned.repo} {files} {revision}"
        )
    return 0
