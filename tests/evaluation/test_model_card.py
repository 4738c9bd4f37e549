"""The model card states how each file was trained, and leaves out what does not apply."""

from __future__ import annotations

from defect.evaluation.model_card import model_card
from defect.evaluation.scorecard import results_of
from defect.weights.files import Metadata, Training


def test_a_model_without_epochs_states_none() -> None:
    once = Training(images_fit=40, seed=0, device="cpu", precision="float32", seconds=9.0)
    long = Training(
        images_fit=167,
        seed=0,
        device="cpu",
        precision="float32",
        seconds=100.0,
        images_held_out=42,
        epochs_run=33,
        best_epoch=23,
        learning_rate=2e-3,
        batch_size=16,
    )
    headers = [
        Metadata(model, "bottle", "MVTec AD", "CC", training)
        for model, training in (("memory", once), ("dae", long))
    ]
    card = model_card("owner/name", results_of(headers))
    assert "| dae/bottle.safetensors | MVTec AD | 167 (42) | 33 (23) | 0.002 | 16 | 0 |" in card
    assert "| memory/bottle.safetensors | MVTec AD | 40 | – | – | – | 0 |" in card
    assert "None" not in card
