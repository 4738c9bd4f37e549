"""`publish` and `unbundle`: weights to the Hub, and out of the bundle."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from defect.cli.options import add_weights

if TYPE_CHECKING:
    from defect.cli.options import Commands
    from defect.weights.files import Metadata


def add_commands(commands: Commands) -> None:
    """Adds `publish` and `unbundle`."""
    publish = commands.add_parser(
        "publish", help="upload what changed in the weights to the Hub, and pin the app to it"
    )
    publish.add_argument("repo", metavar="OWNER/NAME", help="created if it does not exist")
    publish.add_argument("--dry-run", action="store_true", help="only show what would go up")
    add_weights(publish)
    publish.set_defaults(run=_publish)

    unbundle = commands.add_parser(
        "unbundle", help="move weights too large to ship to runs/unbundled, keeping their figures"
    )
    unbundle.add_argument("model")
    unbundle.add_argument("categories", nargs="+", metavar="CATEGORY")
    add_weights(unbundle)
    unbundle.set_defaults(run=_unbundle)


def _publish(options: argparse.Namespace) -> int:
    from defect.datasets.rendered import render_examples
    from defect.weights.publish import describe, plan, publish
    from defect.weights.unbundled import UNBUNDLED_FOLDER

    planned = plan(
        options.repo, options.weights, UNBUNDLED_FOLDER, card=_card, examples=render_examples()
    )
    print(describe(planned))
    if options.dry_run:
        print("A dry run: nothing was uploaded.")
        return 0
    revision = publish(planned, options.weights)
    print(f"Published as {planned.repo} at {revision}; weights/index.json now says so.")
    files = ",".join(entry.file for entry in planned.only_on_hub)
    if files:
        print(
            "To have a Space fetch these while it is built, add to README.md's front matter:\n"
            f"models:\n  - {planned.repo}\npreload_from_hub:\n  - {planned.repo} {files} {revision}"
        )
    return 0


def _card(repo: str, headers: Sequence[Metadata]) -> str:
    from defect.evaluation.model_card import model_card
    from defect.evaluation.scorecard import results_of

    return model_card(repo, results_of(headers))


def _unbundle(options: argparse.Namespace) -> int:
    from defect.weights.unbundled import unbundle

    for name in options.categories:
        unbundle(options.weights, options.model, name)
    return 0
