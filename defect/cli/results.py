"""`results`: the figures in the weights' own headers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from defect.cli.options import add_weights, path

if TYPE_CHECKING:
    from defect.cli.options import Commands


def add_commands(commands: Commands) -> None:
    """Adds `results`."""
    results = commands.add_parser("results", help="print the figures in the weights' own headers")
    results.add_argument("--json", type=path, metavar="FILE", help="write everything here")
    results.add_argument("--csv", type=path, metavar="FILE", help="write the scorecard here")
    results.add_argument(
        "--markdown",
        type=path,
        metavar="FILE",
        help="put the scorecard between the marks <!-- scorecard --> and <!-- /scorecard -->",
    )
    add_weights(results)
    results.set_defaults(run=_results)


def _results(options: argparse.Namespace) -> int:
    from defect.evaluation import scorecard

    found = scorecard.read_results(options.weights)
    if options.json:
        options.json.write_text(scorecard.to_json(found), encoding="utf-8")
    if options.csv:
        options.csv.write_text(scorecard.to_csv(scorecard.rows(found)), encoding="utf-8-sig")
    if options.markdown:
        table = scorecard.to_markdown(
            scorecard.rows(found), scorecard.steel_of(found), scorecard.transfer_means(found)
        )
        text = options.markdown.read_text(encoding="utf-8")
        options.markdown.write_text(scorecard.put_scorecard(text, table), encoding="utf-8")
    if not (options.json or options.csv or options.markdown):
        print(scorecard.to_text(found))
    return 0
