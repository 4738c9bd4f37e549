"""`teach` and `export`: a detector for your own part, and any detector as an ONNX file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defect.cli.options import (
    add_bit_depth,
    add_weights,
    path,
    path_or_address,
    paths_only,
    print_problems,
    print_skipped,
)

if TYPE_CHECKING:
    from defect.cli.options import Commands


def add_commands(commands: Commands) -> None:
    """Adds `teach` and `export`."""
    teach = commands.add_parser(
        "teach", help="a detector for your own part, from good photos of it alone"
    )
    teach.add_argument(
        "photos",
        nargs="+",
        type=path_or_address,
        metavar="PHOTO",
        help="good ones: files, folders, ZIPs",
    )
    teach.add_argument("--name", default="my part", help="of the part; default: my part")
    add_bit_depth(teach, "what the photos show; the detector keeps it")
    teach.add_argument("--out", type=path, metavar="FILE", help="default: NAME.safetensors")
    add_weights(teach)
    teach.set_defaults(run=_teach)

    export = commands.add_parser(
        "export", help="a detector as an ONNX file: photo in, score and map out"
    )
    export.add_argument("detector", help="cae, vae, dae or memory; or a detector's file")
    export.add_argument("category", nargs="?", help="with a model's name")
    export.add_argument("--out", type=path, metavar="FILE", help="default: MODEL_CATEGORY.onnx")
    add_weights(export)
    export.set_defaults(run=_export)


def _teach(options: argparse.Namespace) -> int:
    from defect.datasets.check import check_photos
    from defect.imaging.archives import list_photos
    from defect.training.memory import MAX_PHOTOS, false_alarm_odds, teach

    listing = list_photos(paths_only(options.photos))
    photos = listing.photos
    print_skipped(listing.skipped)
    if len(photos) <= MAX_PHOTOS:  # more are refused without being read
        print_problems(check_photos(photos, options.bit_depth))
    detector = teach(photos, options.name, bit_depth=options.bit_depth, folder=options.weights)
    report = detector.teaching
    assert report is not None
    file = options.out or Path(f"{detector.category}.safetensors")
    detector.save(file)
    count = len(report.photos)
    print(
        f"{file}: taught in {report.seconds:.0f} s from {count} "
        f"{'photo' if count == 1 else 'photos'}; expect about 1 false alarm in "
        f"{false_alarm_odds(count)}."
    )
    for note in report.notes:
        print(note)
    for outlier in report.outliers:
        print(f"Please check {outlier.photo}: it {outlier.reason}")
    if report.outliers:
        print(
            "Unless they are good, leave them out and teach again: what looks like them passes "
            "as normal."
        )
    print(f"Inspect with it: python -m defect inspect {file} PHOTO…")
    return 0


def _export(options: argparse.Namespace) -> int:
    from defect.detectors.registry import load
    from defect.weights.onnx_export import export

    detector = load(options.detector, options.category, folder=options.weights)
    file = options.out or Path(f"{detector.metadata.model}_{detector.category}.onnx")
    module: Any = detector.to_module()
    size = export(module, detector.metadata, detector.source, file)
    height, width = module.input_size
    print(
        f"{file}: {size / 1e6:.1f} MB. Input: photo, 1×{height}×{width}×3 uint8 RGB. Outputs, in "
        f"multiples of the normal limit: score (1.0 and above is defective), anomaly_map."
    )
    return 0
