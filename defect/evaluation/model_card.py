"""The model card of a published repository, written from the weights' own headers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from defect.evaluation import scorecard as results
from defect.evaluation.scorecard import Result, Row
from defect.evaluation.scorecard.headers import number_in
from defect.networks.autoencoders import AUTOENCODERS
from defect.weights.index import relative_path

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

PIPELINE_TAG = "image-classification"
_TAGS = ["anomaly-detection", "industrial-inspection", "autoencoder", "mvtec-ad", "pytorch"]
_DATASET_IDS = {"MVTec AD": "Voxel51/mvtec-ad"}
"""Data sets that are on the Hub, by their names in the headers."""
_METRICS = {
    "image_auroc": ("roc_auc", "image AUROC"),
    "thesis_image_auroc": ("roc_auc", "image AUROC by the mean squared error"),
    "average_precision": ("average_precision", "image average precision"),
    "f1": ("f1", "F1 at the default threshold"),
    "pixel_auroc": ("roc_auc", "pixel AUROC"),
    "aupro": ("aupro", "AUPRO"),
}
"""Figures of a row that go into the model index: metric type, and name behind the model's."""


def model_card(repo: str, found: Sequence[Result]) -> str:
    """The card as Markdown with a YAML head, such as the Hub shows as a repository's README.

    Args:
        repo: `owner/name` on the Hub.
        found: the headers of the files in the repository.
    """
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCardData(
        license="other",
        license_name="per-file",
        license_link="LICENSE.md",
        library_name="pytorch",
        pipeline_tag=PIPELINE_TAG,
        tags=_TAGS,
        datasets=sorted({_DATASET_IDS[r.dataset] for r in found if r.dataset in _DATASET_IDS})
        or None,
        model_name=repo.partition("/")[2],
        eval_results=eval_results(found) or None,
    )
    parts = [
        "# Defect detection: weights",
        "Autoencoders that learnt industrial products from defect-free photos only, and a small "
        "classifier of steel-surface defects, as safetensors. Where a photo differs from what a "
        "network learnt, its anomaly map lights up; a score of 1.0 is the bound that 99 of 100 "
        "normal photos stay under.",
        "## Use",
        _usage(repo, found),
        "## What they reach",
        results.to_markdown(
            results.rows(found), results.steel_of(found), results.transfer_means(found)
        ),
        "## How they were trained",
        _training(found),
        "## What they cannot do, and where they are biased",
        _LIMITS,
        "## Data and licences",
        _licences(found),
    ]
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n"))


def eval_results(found: Sequence[Result]) -> list[EvalResult]:
    """Every measured figure of the headers, for the card's `model-index`."""
    from huggingface_hub import EvalResult

    def result(name: str, kind: str, value: float, of: Row | Result, task: str) -> EvalResult:
        return EvalResult(
            task_type=task,
            dataset_type=_DATASET_IDS.get(of.dataset, of.dataset),
            dataset_name=f"{of.dataset}, {of.category}",
            dataset_config=of.category,
            dataset_split="test",
            metric_type=kind,
            metric_name=f"{of.model.upper()}: {name}",
            metric_value=value,
        )

    figures = [
        result(name, kind, value, row, "anomaly-detection")
        for row in results.rows(found)
        for field, (kind, name) in _METRICS.items()
        if (value := getattr(row, field)) is not None
    ]
    steel = results.steel_of(found)
    if steel is not None:
        for field, kind in (("accuracy", "accuracy"), ("macro_f1", "f1")):
            value = number_in(steel.test, field)
            if value is not None:
                name = field.replace("_", " ").replace("f1", "F1")
                figures.append(result(name, kind, value, steel, "image-classification"))
    return figures


def _usage(repo: str, found: Sequence[Result]) -> str:
    first = next((r for r in found if r.model in AUTOENCODERS), None)
    if first is None:
        return "See the project's README."
    file = relative_path(first.model, first.category)
    return f"""In a clone of the project, which checks every file and fetches what it lacks:

```python
from defect import load

inspect = load("{first.model}", "{first.category}")
result = inspect("photo.jpg")  # a path, bytes, PIL image or array
print(result.score, result.defective)  # in multiples of the normal limit
```

What a file says of itself, without the project:

```python
import json

from huggingface_hub import hf_hub_download
from safetensors import safe_open

path = hf_hub_download("{repo}", "{file}")
with safe_open(path, "np") as file:
    print(json.loads(file.metadata()["defect"])["test"])
```"""


def _training(found: Sequence[Result]) -> str:
    head = (
        *("file", "trained on", "photos (held out)", "epochs (best)", "learning rate", "batch"),
        *("seed", "precision", "device", "corruption", "started from"),
    )
    lines = [head, ["---"] * len(head)]
    for r in found:
        t = r.training
        lines.append(
            [
                relative_path(r.model, r.category),
                r.dataset,
                _with_detail(t.images_fit, t.images_held_out),
                _with_detail(t.epochs_run, t.best_epoch),
                f"{t.learning_rate:g}" if t.learning_rate is not None else "–",
                _with_detail(t.batch_size, None),
                str(t.seed),
                t.precision,
                t.device,
                t.corruption or "none",
                t.start or "random weights",
            ]
        )
    return "Photos are 256×256 RGB. As run, from the files' headers:\n\n" + "\n".join(
        f"| {' | '.join(_cell(text) for text in line)} |" for line in lines
    )


def _with_detail(value: int | None, detail: int | None) -> str:
    """`40 (33)`; without what the header does not state."""
    if value is None:
        return "–"
    return str(value) if detail is None else f"{value} ({detail})"


def _licences(found: Sequence[Result]) -> str:
    terms: dict[tuple[str, str], list[str]] = {}
    for r in found:
        terms.setdefault((r.dataset, r.licence), []).append(relative_path(r.model, r.category))
    lines = [
        f"- **{dataset}**: {licence}. {', '.join(f'`{file}`' for file in files)}"
        for (dataset, licence), files in sorted(terms.items())
    ]
    return "\n".join(
        [
            *lines,
            "",
            "`LICENSE.md` has the terms in full. There is no photo of a data set in this "
            "repository, nor a crop or a reconstruction of one; everything in `examples/` is drawn "
            "by the project. Files are safetensors, read without executing anything.",
        ]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


_LIMITS = """- A network knows one product, framed and lit as in its training photos. Another \
product, angle or background looks odd all over, and is called defective.
- Defects that are small against the part, or as dark and coarse as its own texture, are missed \
more often: *found* in the table says how many were at the default threshold.
- In some categories the good test photos differ from the defective ones in brightness alone; \
where *brightness alone* is far from 0.5, an image AUROC says little about seeing defects.
- The benchmark's photos come from a laboratory: a few cameras, even light, one batch of parts. \
Expect more false alarms in a plant, and set the limit with normal photos of your own.
- The steel classifier refuses what is unlike all it was taught, but may still name a surface of \
another steel as one of its six.
- This is a demonstration. It must not decide alone where a missed defect can hurt somebody."""
