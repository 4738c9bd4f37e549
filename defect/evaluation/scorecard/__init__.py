"""The results of all models, read from the weights' own headers: rows, means, CSV, JSON, Markdown.

A figure that is absent from a header is None, shown as "n/a".
"""

from defect.evaluation.scorecard.averages import (
    BEST_OF_THREE,
    MASKED,
    Mean,
    RankCorrelation,
    means,
    rank_correlations,
    transfer_means,
)
from defect.evaluation.scorecard.export import to_csv, to_json
from defect.evaluation.scorecard.headers import (
    TRANSFER,
    Result,
    Row,
    read_results,
    results_of,
    rows,
    steel_of,
)
from defect.evaluation.scorecard.tables import (
    put_scorecard,
    steel_lines,
    summary,
    to_markdown,
    to_text,
)

__all__ = [
    "BEST_OF_THREE",
    "MASKED",
    "TRANSFER",
    "Mean",
    "RankCorrelation",
    "Result",
    "Row",
    "means",
    "put_scorecard",
    "rank_correlations",
    "read_results",
    "results_of",
    "rows",
    "steel_lines",
    "steel_of",
    "summary",
    "to_csv",
    "to_json",
    "to_markdown",
    "to_text",
    "transfer_means",
]
