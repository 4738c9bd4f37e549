"""The scorecard: rows from headers, means and ranks by hand, CSV, JSON, Markdown; old headers."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import zeros

from defect.__main__ import main
from defect.evaluation import scorecard as results
from defect.evaluation.metrics import image_metrics, pixel_metrics, to_json
from defect.evaluation.scorecard import Result, Row
from defect.evaluation.thesis import THESIS
from defect.weights import files as weights
from defect.weights import unbundled
from defect.weights.errors import NotAvailable, WeightsError
from defect.weights.files import Metadata, Training

TRAINING = Training(
    epochs_planned=40,
    epochs_run=33,
    best_epoch=23,
    learning_rate=2e-3,
    batch_size=16,
    seed=0,
    device="cpu",
    precision="float32",
    corruption="none",
    images_fit=167,
    images_held_out=42,
    seconds=100.0,
)
ONE_PASS = Training(images_fit=40, seed=0, device="cpu", precision="float32", seconds=9.0)


def metadata(
    model: str, category: str, hits: int = 3, *, masks: bool = True, **more: Any
) -> Metadata:
    """A header of 4 good and 4 defective photos, `hits` of which score over all good ones."""
    scores = [0.1, 0.2, 0.3, 0.4] + [2.0] * hits + [0.05] * (4 - hits)
    labels, kinds = [False] * 4 + [True] * 4, ["good"] * 4 + ["cut"] * 4
    image = to_json(image_metrics(scores, labels, kinds, resamples=50))
    maps = np.zeros((2, 8, 8), np.float32)
    truth = np.zeros(maps.shape, bool)
    maps[1, :4], truth[1, 2:6] = 1.5, True
    pixel = to_json(pixel_metrics(maps, truth, [True, masks]))
    auroc = {"value": 0.45, "low": 0.2, "high": 0.7, "reason": ""}
    baselines = {
        "all_defective_f1": 0.666667,
        "brightness_auroc": auroc,
        "mean_image_auroc": {**auroc, "value": 0.55},
    }
    stored = {"calibrated": scores, "thesis": scores, "kind": kinds}
    test = {
        **{"image": image, "pixel": pixel, "thesis_image": image, "thesis_pixel": pixel},
        **{"baselines": baselines, "scores": stored},
    }
    return Metadata(model, category, "MVTec AD", "CC", TRAINING, **{"test": test, **more})


def result(*values: Any, bundled: bool = True, **named: Any) -> Result:
    own = metadata(*values, **named)
    return Result(**{**own.__dict__, "bundled": bundled})


def write(folder: Path, *documents: Metadata) -> None:
    for document in documents:
        weights.save(folder, {"w": zeros(2)}, {}, document)


def test_a_row_states_what_the_header_states() -> None:
    transfer = {
        "kolektor_sdd": {
            "image": {"auroc": {"value": 0.7}},
            "thesis_image": {"auroc": {"value": 0.6}},
        }
    }
    [row] = results.rows([result("cae", "bottle", transfer=transfer)])
    assert (row.model, row.category, row.dataset) == ("cae", "bottle", "MVTec AD")
    assert (row.bundled, row.complete, row.note, row.epochs_run) == (True, True, "", 33)
    assert (row.normal, row.defective) == (4, 4)
    assert row.image_auroc == 0.75
    assert row.image_auroc_low is not None and row.image_auroc_high is not None
    assert row.image_auroc_low <= 0.75 <= row.image_auroc_high
    # Three of four detected, no false alarm.
    assert (row.precision, row.recall, row.detection_rate) == (1.0, 0.75, 0.75)
    assert (row.f1, row.false_alarm_rate) == (pytest.approx(6 / 7, abs=1e-6), 0.0)
    assert row.f1_max is not None and row.f1 is not None and row.f1_max >= row.f1
    assert (row.all_defective_f1, row.brightness_auroc, row.mean_image_auroc) == (
        *(0.666667, 0.45, 0.55),
    )
    # Half of the defect and as much beside it.
    assert (row.iou, row.dice) == (pytest.approx(1 / 3, abs=1e-6), 0.5)
    assert (row.kolektor_auroc, row.kolektor_thesis_auroc) == (0.7, 0.6)
    assert (row.published_image_auroc, row.published_pixel_auroc) == (0.550, 0.606)
    assert (row.best, row.below_chance, row.pixel_reason) == (True, False, "")


def test_best_below_chance_and_incomplete_are_marked() -> None:
    found = results.rows(
        [
            result("cae", "capsule", 1, note="8 good photos are missing."),
            result("vae", "capsule", 4, note="8 good photos are missing."),
            result("dae", "capsule", 4, note="8 good photos are missing.", bundled=False),
            result("cae", "pill", 1),
            result("dae", "pill", test={}),
        ]
    )
    assert [row.best for row in found] == [False, True, True, True, False]
    assert [row.below_chance for row in found] == [True, False, False, True, False]
    assert [row.complete for row in found] == [False, False, False, True, True]
    assert [row.bundled for row in found] == [True, True, False, True, True]
    card = results.to_markdown(found, None)
    assert "| capsule † | CAE | 0.250 ‡ " in card
    assert "| capsule † | VAE | **1.000** " in card
    assert "- † capsule: 8 good photos are missing." in card
    assert "too large to be bundled: DAE capsule." in card
    assert "| pill | DAE | n/a (not measured) | n/a (not measured) |" in card


@pytest.mark.parametrize(
    "test",
    [
        {},
        {"image": {"auroc": None}, "pixel": None},
        {"image": {"auroc": {"value": "high"}, "normal": True}},
        {"image": [], "thesis_image": 3, "baselines": "none"},
    ],
)
def test_headers_without_figures_are_not_evaluated(test: dict[str, Any]) -> None:
    found = [result("cae", "bottle", test=test), result("cnn", "neu", test=test)]
    [row] = results.rows(found)
    assert (row.image_auroc, row.normal, row.dice, row.f1) == (None,) * 4
    assert not row.best
    assert "not measured" in results.to_text(found)
    assert "not measured" in results.to_markdown([row], results.steel_of(found))
    assert json.loads(results.to_json(found))["means"] == []


def test_old_headers_show_what_they_have() -> None:
    own = metadata("dae", "bottle")
    for name in ("precision", "recall", "f1"):
        del own.test["image"][name]
    del own.test["pixel"]["dice"], own.test["baselines"], own.test["scores"]
    [row] = results.rows(
        [Result(**{**own.__dict__, "test": {**own.test, "brightness_auroc": 0.4}})]
    )
    assert (row.image_auroc, row.f1, row.dice, row.brightness_auroc) == (0.75, None, None, None)
    assert "n/a (not measured)" in results.summary(own)


def test_a_model_without_epochs_has_none_in_its_row() -> None:
    own = replace(metadata("memory", "bottle"), training=ONE_PASS)
    [row] = results.rows([Result(**own.__dict__)])
    assert row.epochs_run is None
    [line] = csv.DictReader(io.StringIO(results.to_csv([row])))
    assert line["epochs_run"] == ""
    assert "memory bottle" in results.to_text([Result(**own.__dict__)])


def test_headers_of_older_versions_are_read() -> None:
    # The first headers filled every field and named the side of the networks' input.
    document = {**asdict(metadata("dae", "bottle")), "image_side": 256}
    assert Metadata.from_document(document) == metadata("dae", "bottle")
    with pytest.raises(TypeError, match="stranger"):
        Metadata.from_document({**document, "stranger": 1})


def test_absent_masks_give_the_reason() -> None:
    [row] = results.rows([result("cae", "transistor", masks=False)])
    assert (row.pixel_auroc, row.pixel_reason) == (None, "no defect pixel in the test set")
    assert "| n/a (no defect pixel in the test set) |" in results.to_markdown([row], None)


def test_a_folder_is_read_with_what_is_not_bundled(tmp_path: Path) -> None:
    write(
        tmp_path,
        *(metadata("dae", "bottle"), metadata("cae", "rendered_cap")),
        *(metadata("cae", "pill"), metadata("cnn", "neu", test={"accuracy": 1.0})),
    )
    documents = [asdict(metadata("vae", "bottle")), asdict(metadata("cae", "pill", 1))]
    listed = tmp_path / unbundled.UNBUNDLED_NAME
    listed.write_text(json.dumps({"schema_version": 1, "files": documents}))
    found = results.read_results(tmp_path)
    assert [(r.model, r.category, r.bundled) for r in found] == [
        ("vae", "bottle", False),
        ("dae", "bottle", True),
        ("cae", "pill", True),  # the bundled file counts, where there are both
        ("cae", "rendered_cap", True),
        ("cnn", "neu", True),
    ]
    assert found[0].training == TRAINING
    assert results.rows(found)[2].image_auroc == 0.75
    assert results.steel_of(found) == found[-1]
    listed.unlink()
    assert len(results.read_results(tmp_path)) == 4


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"schema_version": 2, "files": []}', '{"schema_version": 1, "files": [{}]}'],
)
def test_a_damaged_list_of_unbundled_files_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / unbundled.UNBUNDLED_NAME).write_text(text)
    with pytest.raises(WeightsError, match=r"unbundled\.json is damaged"):
        results.read_results(tmp_path)


def figures(model: str, category: str, image: float | None, pixel: float | None = None) -> Row:
    [row] = results.rows([result(model, category)])
    return replace(row, image_auroc=image, thesis_image_auroc=image, pixel_auroc=pixel)


def test_means_by_hand() -> None:
    found = [
        figures("cae", "bottle", 0.9, 0.8),
        figures("dae", "bottle", 0.7, 0.9),
        figures("cae", "pill", 0.5, 0.6),
        figures("dae", "pill", None, None),
        figures("cae", "transistor", 0.1),  # no masks: not among the seven
    ]
    by_who = {mean.who: mean for mean in results.means(found)}
    assert set(by_who) == {"cae", "dae", results.BEST_OF_THREE}
    cae, dae, best = by_who["cae"], by_who["dae"], by_who[results.BEST_OF_THREE]
    assert (cae.categories, cae.image_auroc, cae.pixel_auroc) == (2, 0.7, 0.7)
    assert cae.published_image_auroc == pytest.approx((0.550 + 0.751) / 2)
    assert (dae.categories, dae.image_auroc, dae.pixel_auroc) == (1, 0.7, 0.9)
    assert (best.categories, best.image_auroc, best.pixel_auroc) == (2, 0.7, 0.75)


def test_rank_correlation_by_hand() -> None:
    # The thesis's CAE: metal_nut .268 < capsule .477 < pill .751 < screw .979.
    ours = {"metal_nut": 0.2, "capsule": 0.6, "pill": 0.5, "screw": 0.9}
    found = [figures("cae", name, value) for name, value in ours.items()]
    found += [figures("dae", "bottle", 0.9), figures("cae", "own", 0.9)]
    cae, dae = results.rank_correlations(found)
    # Two of four ranks swapped: 1 - 6·2 / (4·15).
    assert (cae.model, cae.categories, cae.value) == ("cae", 4, pytest.approx(0.8))
    assert (dae.categories, dae.value) == (1, None)
    assert "three shared" in dae.reason


def test_transfer_means_by_hand() -> None:
    def on(ours: float, thesis: float) -> dict[str, Any]:
        values = {"image": ours, "thesis_image": thesis}
        return {"kolektor_sdd": {k: {"auroc": {"value": v}} for k, v in values.items()}}

    found = [
        result("cae", "bottle", transfer=on(0.8, 0.5)),
        result("cae", "pill", transfer=on(0.6, 0.0)),
        result("dae", "pill"),
    ]
    [mean] = results.transfer_means(found)
    assert (mean.who, mean.categories) == ("cae", 2)
    assert (mean.image_auroc, mean.thesis_image_auroc) == pytest.approx((0.7, 0.25))
    assert "CAE 0.700 (0.250) of 2" in results.to_text(found)


def test_csv_and_json_hold_every_number() -> None:
    found = [result("cae", "bottle"), result("cnn", "neu", test={"accuracy": 0.99, "count": 360})]
    [row] = results.rows(found)
    [line] = csv.DictReader(io.StringIO(results.to_csv([row])))
    assert {
        name: "" if value is None else str(value) for name, value in asdict(row).items()
    } == line
    document = json.loads(results.to_json(found))
    assert document["scorecard"] == [asdict(row)]
    assert document["autoencoders"][0]["test"] == found[0].test
    assert document["steel"] == found[1].test
    assert document["thesis"]["categories"]["pill"]["dae"] == {
        **{"image_auroc": 0.762, "pixel_auroc": None},
    }


def test_the_scorecard_is_replaced_between_its_marks() -> None:
    found = results.rows([result("cae", "bottle")])
    steel = metadata("cnn", "neu", test={"accuracy": 0.9972, "count": 360, "macro_f1": 0.99})
    card = results.to_markdown(found, steel)
    assert "| bottle | CAE | **0.750** " in card
    assert " | 0 of 4 | 3 of 4 | 0.857 (0.667) | 0.450 |" in card
    assert "99.72 % of 360 held-out photos classified correctly" in card
    lines = [line for line in card.splitlines() if line.startswith("| bottle") or "---" in line]
    assert lines[0].count("|") == lines[1].count("|")
    text = "# A\n<!-- scorecard -->\nold\n<!-- /scorecard -->\nrest\n"
    once = results.put_scorecard(text, card)
    assert once == f"# A\n<!-- scorecard -->\n\n{card}\n\n<!-- /scorecard -->\nrest\n"
    assert results.put_scorecard(once, card) == once
    for wrong in ("no marks", "<!-- /scorecard --> <!-- scorecard -->", "<!-- scorecard -->"):
        with pytest.raises(ValueError, match="to put the scorecard between"):
            results.put_scorecard(wrong, card)


def test_the_command_writes_what_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "w", metadata("cae", "bottle"))
    (tmp_path / "R.md").write_text("<!-- scorecard --><!-- /scorecard -->")
    arguments = ["results", "--weights", str(tmp_path / "w")]
    files = [str(tmp_path / name) for name in ("r.json", "r.csv", "R.md")]
    assert main([*arguments, "--json", files[0], "--csv", files[1], "--markdown", files[2]]) == 0
    assert capsys.readouterr().out == ""
    found = results.read_results(tmp_path / "w")
    assert Path(files[0]).read_text() == results.to_json(found)
    assert Path(files[1]).read_text("utf-8-sig") == results.to_csv(results.rows(found))
    assert "| bottle | CAE | **0.750**" in Path(files[2]).read_text()
    assert main(arguments) == 0
    assert capsys.readouterr().out == results.to_text(found) + "\n"


def test_the_thesis_s_means_are_its_own() -> None:
    for model, mean in (("cae", 0.617), ("vae", 0.412), ("dae", 0.621)):
        values = [models[model].image_auroc for models in THESIS.values()]
        assert (len(values), np.mean(values)) == (15, pytest.approx(mean, abs=5e-4))
    # With the failures it counts as 0.5, which are None here.
    for model, mean, failed in (("cae", 0.655, 2), ("dae", 0.633, 4)):
        pixels = [models[model].pixel_auroc for models in THESIS.values()]
        assert pixels.count(None) == failed
        assert np.mean([p or 0.5 for p in pixels]) == pytest.approx(mean, abs=5e-4)


def test_unbundling_moves_the_file_and_leaves_the_figures(
    tiny_weights: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    shutil.copytree(tiny_weights, folder)
    before = {(r.model, r.category): r for r in results.read_results(folder)}
    unbundled.unbundle(folder, "cae", "rendered_cap", tmp_path / "moved")
    assert [r.category for r in results.read_results(tmp_path / "moved")] == ["rendered_cap"]
    after = {(r.model, r.category): r for r in results.read_results(folder)}
    assert after.keys() == before.keys()
    moved = after.pop(("cae", "rendered_cap"))
    assert not moved.bundled and all(result.bundled for result in after.values())
    assert moved == replace(before["cae", "rendered_cap"], bundled=False)
    assert not (folder / "cae/rendered_cap.safetensors").exists()
    with pytest.raises(NotAvailable, match="not in the bundle"):
        unbundled.unbundle(folder, "cae", "rendered_cap", tmp_path / "moved")
