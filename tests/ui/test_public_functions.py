"""Every function of the app that can be called from outside, by name."""

from __future__ import annotations

import pytest

from defect.ui.demo import build_demo
from defect.ui.gradio_private.server import public_functions

PUBLIC = {
    "predict_autoencoder",
    "compare",
    "predict_cnn",
    "predict_batch",
    "recognise",
    "models",
    "health",
    "teach",
    "load_detector",
}


@pytest.fixture(scope="module")
def functions() -> list:
    return list(build_demo().fns.values())


def test_only_these_are_public(functions: list) -> None:
    """Whoever adds an endpoint lists it here; whoever forgets `private` learns it here."""
    assert public_functions(build_demo()) == PUBLIC
    found = [fn.api_name for fn in functions if fn.api_visibility != "private"]
    assert sorted(found) == sorted(PUBLIC)


def test_every_function_with_a_body_goes_through_the_queue(functions: list) -> None:
    """What skips the queue would be asked at /run, which is closed."""
    assert [fn.api_name for fn in functions if fn.fn and not fn.queue] == []
