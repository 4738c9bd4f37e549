"""The Results tab's tables and sections, from headers made here and from the bundled ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from defect.detectors import catalogue
from defect.detectors.registry import DETECTORS
from defect.evaluation import scorecard as results
from defect.evaluation.scorecard import Result
from defect.ui.tabs import results as results_tab
from defect.ui.tabs import results_tables as tables
from defect.weights.files import Training

TRAINING = Training(
    images_fit=9,
    seed=0,
    device="cpu",
    precision="float32",
    seconds=1.0,
    images_held_out=3,
    epochs_planned=2,
    epochs_run=2,
    best_epoch=2,
    learning_rate=0.1,
    batch_size=1,
    corruption="none",
    loss_curve=[2.0, 1.0],
    held_out_curve=[2.1, 1.1],
)


def measured(model: str, category: str, auroc: float, **more: Any) -> Result:
    interval = {"value": auroc, "low": auroc - 0.1, "high": auroc, "reason": ""}
    image = {
        "auroc": interval,
        "f1": {**interval, "value": 0.7},
        "normal": 2,
        "defective": 3,
        "false_alarm_rate": 0.5,
        "detection_rate": 1 / 3,
        "per_kind": {"crack<b>": 1 / 3},
        "per_kind_auroc": {"crack<b>": 0.4},
    }
    test = {
        "image": image,
        "thesis_image": image,
        "pixel": {"auroc": 0.9, "aupro": 0.8, "reason": ""},
        "baselines": {"all_defective_f1": 0.75, "brightness_auroc": {"value": 0.02}},
        "scores": {
            "calibrated": [0.5, 1.2, 0.8, 0.9, 1.5],
            "thesis": [0.1, 0.2, 0.1, 0.3, 0.4],
            "kind": ["good", "good", "crack<b>", "crack<b>", "crack<b>"],
        },
    }
    fields: dict[str, Any] = {"calibration": {"normal_scores": [0.4, 0.7]}, "test": test, **more}
    return Result(model, category, "MVTec AD", "", TRAINING, **fields)


FOUND = [
    measured("cae", "screw", 0.4, note="8 photos are missing."),
    measured("vae", "screw", 0.6, bundled=False),
    measured("dae", "screw", 0.9, test={}),
]


def test_the_scorecard_marks_and_sorts_by_numbers() -> None:
    card = tables.scorecard(results.rows(FOUND))
    assert len(card["headers"]) == len(card["data"][0])
    auroc = card["headers"].index("Image AUROC")
    assert [row[auroc] for row in card["data"]] == [0.4, 0.6, None]
    shown = card["metadata"]["display_value"]
    assert [row[auroc] for row in shown] == ["0.400 ▼", "0.600 ★", "n/a"]
    assert [row[:2] for row in shown] == [["screw †", "CAE"], ["screw", "VAE ‡"], ["screw", "DAE"]]
    assert shown[0][card["headers"].index("Found")] == "33 % of 3"
    styles = [row[auroc] for row in card["metadata"]["styling"]]
    assert "--bad" in styles[0] and "--good" in styles[1] and styles[2] == ""


def test_each_trap_is_explained_where_it_is_met() -> None:
    text = tables.reading(results.rows(FOUND))
    assert "0.98 on screw" in text
    assert "an F1 of 0.75." in text
    assert "† **screw**: 8 photos are missing." in text
    assert "▼ below chance" in text and "‡ measured" in text
    plain = tables.reading(results.rows(FOUND[2:]))
    assert "Brightness" not in plain and "F1 if all" not in plain and "▼" not in plain


def test_a_detail_draws_what_is_there_and_escapes_names() -> None:
    full, bare = results_tab.detail(FOUND[0]), results_tab.detail(FOUND[2])
    for shown, figures in ((full, 2), (bare, 1)):  # and one histogram, drawn by the page
        assert shown.count("<svg") == figures and shown.count("<score-histogram") == 1
    assert "ROC: AUROC 0.400 (95 %: 0.300–0.400)" in full
    assert "33 %" in full and "crack&lt;b&gt;" in full and "crack<b>" not in full
    assert "8 photos are missing." in full
    assert "AUROC not measured" in bare and "Not measured." in bare
    nothing = replace(FOUND[2], calibration={}, training=replace(TRAINING, loss_curve=[]))
    assert "<svg" not in results_tab.detail(nothing)
    assert "<score-histogram" not in results_tab.detail(nothing)


def test_reconstructions_only_of_rendered_categories_with_weights() -> None:
    text, gallery = results_tab.reconstructions(replace(FOUND[0], category="gear"))
    assert "not bundled" in text and not gallery.visible
    text, gallery = results_tab.reconstructions(measured("cae", "bottle", 0.9))
    assert "may not be redistributed" in text and not gallery.visible
    text, gallery = results_tab.reconstructions(measured("cae", "rendered_cap", 0.9))
    assert "Rendered" in text and gallery.visible
    assert len(gallery.value) == len(catalogue.categories()["rendered_cap"].examples)
    text, gallery = results_tab.reconstructions(measured("memory", "rendered_cap", 0.9))
    assert "reconstructs nothing" in text and not gallery.visible


def test_another_category_falls_back_to_a_model_it_has() -> None:
    category, model, *_ = results_tab.choice([*FOUND, measured("cae", "pill", 0.9)], "pill", "vae")
    assert isinstance(category, gr.Dropdown) and isinstance(model, gr.Radio)
    assert (category.value, model.value) == ("pill", "cae")
    assert [value for _, value in category.choices] == ["screw", "pill"]


def test_transfer_and_thesis_tables() -> None:
    seen = {"auroc": {"value": 0.731, "low": 0.65, "high": 0.8}}
    there = replace(FOUND[0], transfer={"kolektor_sdd": {"image": seen, "thesis_image": seen}})
    table = tables.transfer_table([there], results.transfer_means([there]))
    assert table.count("0.731") == 4 and "0.65–0.80" in table
    memory = replace(measured("memory", "screw", 0.9), transfer={"kolektor_sdd": {"image": seen}})
    table = tables.transfer_table([there, memory], results.transfer_means([there, memory]))
    assert table.count("0.731") == 6 and "n/a" not in table  # a memory has no thesis score
    assert "Not measured yet" in tables.transfer_table(FOUND, [])
    thesis = tables.thesis_table(results.rows(FOUND))
    assert "0.979" in thesis and "0.986" in thesis
    assert tables.thesis_table(results.rows(FOUND), pixel=True).count("<table") == 0


def test_what_is_rejected_as_none_of_the_six_is_shown() -> None:
    unknown = {
        "neu_photos": 360,
        "neu_refused": 0.011,
        "other_photos": 900,
        "others_refused": 0.857,
        "others": {"screw": 0.4},
    }
    shown = tables.unknown_table(replace(FOUND[0], test={"unknown": unknown}))
    assert all(words in shown for words in ("1.1 %", "360", "85.7 %", "900", "screw", "40.0 %"))
    unmeasured = replace(FOUND[0], test={})
    assert "Not measured" in tables.unknown_table(unmeasured)
    assert tables.steel_summary(unmeasured) == "Not measured."


def test_the_bundled_headers_fill_every_section() -> None:
    found = results.read_results()
    card, as_csv, as_json, *texts = results_tab.sections(found)
    assert len(card["data"]) == sum(r.model in DETECTORS for r in found)
    assert as_csv.endswith(".csv") and as_json.endswith(".json")
    assert all(isinstance(text, str) and text for text in texts)
    assert "<svg" in texts[-1]
