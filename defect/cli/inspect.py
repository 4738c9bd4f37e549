"""`inspect`: photos, folders, archives and object stores through one detector."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from defect.cli.options import (
    add_bit_depth,
    add_weights,
    path,
    path_or_address,
    paths_only,
    print_skipped,
)
from defect.inspection import Message

if TYPE_CHECKING:
    from defect.cli.options import Commands
    from defect.detectors.stream import PhotoSource

DEFECTS_FOUND, SOME_NOT_READ = 3, 4
"""Exit statuses; 0 where every photo was read and none is defective."""


def add_commands(commands: Commands) -> None:
    """Adds `inspect`."""
    parser = commands.add_parser(
        "inspect",
        help="inspect photos",
        description="Sub-folders are read, too. Exit status: 0 every photo was read and none is "
        "defective; 3 defects found; 4 no defects found, but some photos (or pictures of a format "
        "not taken) were not read; 1 an error; 2 a wrong command line.",
    )
    parser.add_argument(
        "detector", help="cae, vae, dae or memory, with a CATEGORY behind it; or a detector's file"
    )
    parser.add_argument(
        "photos",
        nargs="+",
        type=path_or_address,
        metavar="[CATEGORY] PHOTO",
        help="files, folders or ZIP archives",
    )
    parser.add_argument("--threshold", type=float, default=1.0, help="default: 1.0")
    add_bit_depth(parser, "the detector's own, or what several photos show")
    parser.add_argument(
        "--out",
        type=path,
        metavar="DIR",
        help="write the report here: overlays, masks, report.csv, regions.json, manifest.json; "
        "as one file if it ends in .zip",
    )
    parser.add_argument(
        "--engine",
        choices=["here", "ray"],
        default="here",
        help="ray: several workers, resumes, takes s3://, gs:// and other addresses; needs --out",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="of ray; default: one a core")
    add_weights(parser)
    parser.set_defaults(run=_inspect)


def split_category(detector: str, photos: list[Path | str]) -> tuple[str | None, list[Path | str]]:
    """The category that follows a model's name, and the photos; a detector's file needs none.

    Raises:
        ValueError: there are no photos behind the category.
    """
    from defect.detectors.registry import is_file_name

    if is_file_name(detector):
        return None, photos
    if len(photos) < 2:
        raise ValueError(
            Message(
                "inspect_usage",
                "Which category, and which photos? Such as: python -m defect inspect {detector} "
                "bottle photo.jpg",
                detector=detector[:60],
            )
        )
    return str(photos[0]), photos[1:]


def _inspect(options: argparse.Namespace) -> int:
    category, photos = split_category(options.detector, options.photos)
    if options.engine == "ray":
        return _inspect_with_ray(options, category, photos)
    from defect.detectors.registry import load
    from defect.detectors.stream import Unreadable, inspect_stream
    from defect.imaging.archives import list_photos
    from defect.inspection import check_threshold, describe
    from defect.reports.writer import About, ReportWriter, entry_of

    check_threshold(options.threshold)
    listing = list_photos(paths_only(photos))
    found = listing.photos
    defects, unread = False, print_skipped(listing.skipped)
    if not found:
        raise ValueError(Message("no_photos_there", "There are no photos in the folder given."))
    detector = load(options.detector, category, folder=options.weights)
    metadata = detector.metadata
    depth = _bit_depth(options.bit_depth, metadata.bit_depth, found)
    about = About(
        metadata.model, detector.category, options.threshold, detector.source, bit_depth=depth
    )
    with ReportWriter(options.out, about) if options.out else nullcontext() as report:
        for result in inspect_stream(detector, found, options.threshold, depth):
            if isinstance(result, Unreadable):
                unread = True
                print(f"{result.name}: not read. {result.error}")
            else:
                defects |= result.defective
                verdict = "defective" if result.defective else "normal"
                print(" ".join([f"{result.name}: {verdict}. {describe(result)}", *result.notes]))
            if report:
                report.add(entry_of(result, about))
    return _status(defects, unread)


def _bit_depth(wanted: int | None, own: int | None, photos: Sequence[PhotoSource]) -> int | None:
    """What is asked for, else the detector's own, else what the photos show."""
    from defect.detectors.stream import sampled_bit_depth

    if wanted is not None or own is not None:
        return own if wanted is None else wanted
    depth = sampled_bit_depth(photos)
    if depth is not None:
        print(f"The photos' values have {depth} bits and are read so; --bit-depth changes it.")
    return depth


def _inspect_with_ray(
    options: argparse.Namespace, category: str | None, photos: list[Path | str]
) -> int:
    from defect.detectors.registry import load
    from defect.imaging.buckets import list_sources
    from defect.reports.ray_engine import RayProgress, inspect_parts, require_ray
    from defect.reports.rows import DEFECTIVE, NOT_READ

    require_ray()
    if options.out is None:
        raise ValueError(
            Message(
                "ray_needs_out",
                "Ray writes its parts and the report into a folder: add --out DIR.",
            )
        )
    found, skipped = list_sources(photos)
    unread = print_skipped(skipped)
    if not found:
        raise ValueError(Message("no_photos_there", "There are no photos in the folder given."))
    own = load(options.detector, category, folder=options.weights).metadata.bit_depth
    verdicts: dict[str, int] = {}
    for state in inspect_parts(
        found,
        options.detector,
        category,
        options.out,
        threshold=options.threshold,
        bit_depth=_bit_depth(options.bit_depth, own, found),
        workers=options.workers or os.cpu_count() or 1,
        weights=options.weights,
    ):
        if isinstance(state, RayProgress):
            before = f", {state.resumed} of them by an earlier run" if state.resumed else ""
            print(f"{state.done} of {state.total} photos{before}", flush=True)
        else:
            verdicts = dict(state)
    print(", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items())) + ".")
    return _status(DEFECTIVE in verdicts, unread or NOT_READ in verdicts)


def _status(defects: bool, unread: bool) -> int:
    return DEFECTS_FOUND if defects else SOME_NOT_READ if unread else 0
