"""`check`: what is in a data folder, and what is odd about it."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from defect.cli.options import path

if TYPE_CHECKING:
    from defect.cli.options import Commands
    from defect.datasets.check import DataCheck

PROBLEMS_FOUND = 1
_LAYOUTS = {
    "category": "one category with training photos",
    "categories": "a folder of categories",
    "classes": "folders of classes",
    "photos": "a folder of photos",
    "nothing": "nothing that is read",
}


def add_commands(commands: Commands) -> None:
    """Adds `check`."""
    parser = commands.add_parser(
        "check",
        help="read a data folder and say what is odd about it, before anybody trains",
        description="Takes categories in MVTec AD layout, train|test with normal|anomaly, folders "
        "of classes, or a folder of photos. Exit status: 0 no problems, 1 problems.",
    )
    parser.add_argument("folder", type=path, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from defect.datasets.check import check_folder

    found = check_folder(options.folder)
    if options.json:
        print(json.dumps(found.document(), indent=2, ensure_ascii=False))
    else:
        print("\n".join([f"{options.folder.name}: {_LAYOUTS[found.layout]}", *_lines(found)]))
    return PROBLEMS_FOUND if found.problems else 0


def _lines(found: DataCheck) -> list[str]:
    lines = [
        f"  {group.name}: {group.photos} photos" + (f", {group.masks} masks" if group.masks else "")
        for group in found.groups
    ]
    if found.sizes:
        sizes = [f"{count} of {size}" for size, count in list(found.sizes.items())[:5]]
        more = ", …" if len(found.sizes) > 5 else ""
        lines.append(f"  sizes: {', '.join(sizes)}{more}")
        depths = [f"{count} of {depth} bits" for depth, count in found.depths.items()]
        lines.append(f"  bit depths: {', '.join(depths)}")
    lines += [f"Note: {note}" for note in found.notes]
    lines += [f"Problem: {problem}" for problem in found.problems]
    return lines if found.problems else [*lines, "No problems."]
