"""The scorecard for programs: CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields

from defect.evaluation.scorecard.averages import means, rank_correlations, transfer_means
from defect.evaluation.scorecard.headers import Result, Row, rows, steel_of
from defect.evaluation.thesis import THESIS, THESIS_NEU_ACCURACY
from defect.networks.autoencoders import AUTOENCODERS
from defect.weights.index import SCHEMA_VERSION


def to_csv(found: Sequence[Row]) -> str:
    """The rows as CSV with a header line; an absent figure is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in found)
    return text.getvalue()


def to_json(results: Sequence[Result]) -> str:
    """Everything: rows, means, each header's test and transfer figures, the thesis's figures."""
    found = rows(results)
    document = {
        "schema_version": SCHEMA_VERSION,
        "scorecard": [asdict(row) for row in found],
        "means": [asdict(mean) for mean in means(found)],
        "rank_correlation": [asdict(correlation) for correlation in rank_correlations(found)],
        "transfer_means": [asdict(mean) for mean in transfer_means(results)],
        "autoencoders": [
            {name: getattr(r, name) for name in ("model", "category", "test", "transfer")}
            for r in results
            if r.model in AUTOENCODERS
        ],
        "steel": steel.test if (steel := steel_of(results)) else {},
        "thesis": {
            "categories": {
                category: {model: asdict(figures) for model, figures in models.items()}
                for category, models in THESIS.items()
            },
            "neu_accuracy": THESIS_NEU_ACCURACY,
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
