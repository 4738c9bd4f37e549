"""A detector taught and used by a program, and by nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from defect.datasets.rendered import render

FEW = 6


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    yield Client(app_url, verbose=False)


def _save(folder: Path, seed: int, defect: str) -> str:
    path = folder / f"{defect}_{seed}.png"
    Image.fromarray(render("rendered_washer", seed, defect).image).save(path)
    return str(path)


def test_teach_inspect_and_load_back(client: Client, app_url: str, tmp_path: Path) -> None:
    good = [handle_file(_save(tmp_path, 40 + i, "good")) for i in range(FEW)]
    key, summary, file = client.predict(good, "washer", api_name="/teach")
    assert (summary["name"], summary["photos"]) == ("washer", FEW)
    assert any("little about how good parts differ" in note for note in summary["notes"])
    new = handle_file(_save(tmp_path, 60, "good"))
    bad, score, limit, _, _, details = client.predict(new, key, 1.0, api_name="/inspect_taught")
    assert bad == (score >= limit == 1.0) and details["name"] == "washer"

    again, described = client.predict(handle_file(file), api_name="/load_taught")
    assert again != key and described["photos"] == FEW
    stranger = Client(app_url, verbose=False)
    assert stranger.predict(new, again, 1.0, api_name="/inspect_taught")[1] == pytest.approx(score)
    for guess in ("", "guess"):
        with pytest.raises(AppError, match=r"taught yet|no longer kept"):
            stranger.predict(new, guess, 1.0, api_name="/inspect_taught")
    with pytest.raises(AppError, match="not a detector"):
        client.predict(new, api_name="/load_taught")
    with pytest.raises(AppError, match="no photos yet"):
        client.predict([], "x", api_name="/teach")


def test_the_category_is_recognised(client: Client, tmp_path: Path) -> None:
    photo = handle_file(_save(tmp_path, 61, "good"))
    assert client.predict(photo, api_name="/recognise")[0] == "rendered_washer"
