"""The running app, asked as programs ask it: through `gradio_client`."""

from __future__ import annotations

import csv
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from defect import load
from defect.datasets.rendered import render
from tests.conftest import EXAMPLES

CAP = EXAMPLES / "rendered_cap"
STEEL = EXAMPLES / "rendered_steel"
FEW = 6


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    yield Client(app_url, verbose=False)


def ask(client: Client, photo: Any, *rest: Any) -> tuple[Any, ...]:
    file = handle_file(str(photo)) if photo is not None else None
    answer = client.predict(file, *rest, api_name="/predict_autoencoder")
    assert isinstance(answer, tuple)
    return answer


def test_endpoints_are_named_typed_and_labelled(client: Client) -> None:
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert set(named) == {
        "/predict_autoencoder",
        "/predict_cnn",
        "/predict_batch",
        "/compare",
        "/models",
        "/health",
        *("/teach", "/load_detector", "/recognise"),
    }
    for endpoint in named.values():
        for value in endpoint["parameters"] + endpoint["returns"]:
            assert value["label"]
            assert value["type"]
            assert not re.search(r"\blimit:", str(value["python_type"]))  # one word for the knob
    assert [p["parameter_name"] for p in named["/predict_autoencoder"]["parameters"]] == [
        "photo",
        "model",
        "category",
        "threshold",
    ]


def test_health_and_models(client: Client) -> None:
    assert client.predict(api_name="/health")["status"] == "ok"
    listed = client.predict(api_name="/models")
    pairs = {(row["model"], row["category"]) for row in listed}
    assert {("cnn", "neu"), ("vae", "bottle"), ("cae", "rendered_cap")} <= pairs
    assert all(len(row["sha256"]) == 64 and row["expects"] for row in listed)


def test_answers_are_typed(client: Client) -> None:
    named = client.view_api(return_format="dict")["named_endpoints"]
    described = {
        name: endpoint["returns"][0]["python_type"]["type"] for name, endpoint in named.items()
    }
    assert "defective: bool" in described["/predict_autoencoder"]
    assert "regions: list[dict(" in described["/predict_autoencoder"]
    assert "results: list[dict(" in described["/compare"]
    assert "probabilities: dict(str, float)" in described["/predict_cnn"]
    assert "counts: dict(photos: int" in described["/predict_batch"]
    assert described["/models"].startswith("list[dict(model: str")
    assert "version: str" in described["/health"]
    assert all(endpoint["description"] for endpoint in named.values())


def test_an_inspection_is_what_the_library_says(client: Client) -> None:
    result, overlay, reconstruction, mask = ask(
        client, CAP / "chip.jpg", "cae", "rendered_cap", 1.0
    )
    expected = load("cae", "rendered_cap")(CAP / "chip.jpg")
    assert result["defective"] is True
    assert result["threshold"] == 1.0
    assert result["score"] == pytest.approx(expected.score, rel=1e-3)
    assert result["thesis_score"] == pytest.approx(expected.thesis_score, rel=1e-3)
    assert result["regions"][0]["peak"] == pytest.approx(expected.score, rel=1e-3)
    assert result["area"] == pytest.approx(expected.mask.mean(), rel=1e-2)
    with Image.open(overlay) as picture:
        assert (picture.format, picture.size) == ("JPEG", (320, 320))
    with Image.open(reconstruction) as picture:
        difference = np.asarray(picture.convert("RGB"), float) - expected.reconstruction
    assert np.abs(difference).mean() < 2
    with Image.open(mask) as picture:
        assert picture.format == "PNG"
        assert np.array_equal(np.asarray(picture.convert("L")) > 0, expected.mask)
    assert result["weights"]["sha256"] == expected.weights.sha256


def test_the_threshold_decides(client: Client) -> None:
    low = ask(client, CAP / "good.jpg", "cae", "rendered_cap", 0.3)[0]
    high = ask(client, CAP / "good.jpg", "cae", "rendered_cap", 1.0)[0]
    assert (low["defective"], high["defective"]) == (True, False)
    assert low["score"] == high["score"]
    assert high["regions"] == []


def test_models_are_compared_by_name(client: Client) -> None:
    result, overlays = client.predict(
        handle_file(str(CAP / "chip.jpg")), "rendered_cap", 1.0, api_name="/compare"
    )
    models = [answer["model"] for answer in result["results"]]
    assert {"cae", "dae"} <= set(models)
    assert [overlay["caption"] for overlay in overlays] == models
    for answer in result["results"]:
        expected = load(answer["model"], "rendered_cap")(CAP / "chip.jpg")
        assert answer["score"] == pytest.approx(expected.score, rel=1e-3)
    with pytest.raises(AppError, match='no category "teapot"'):
        client.predict(handle_file(str(CAP / "chip.jpg")), "teapot", 1.0, api_name="/compare")


def test_steel(client: Client) -> None:
    result, cam = client.predict(
        handle_file(str(STEEL / "scratches_1.jpg")), api_name="/predict_cnn"
    )
    probabilities = sorted(result["probabilities"].values(), reverse=True)
    assert result["label"] == "scratches"
    assert result["confidence"] == pytest.approx(probabilities[0])
    assert result["margin"] == pytest.approx(probabilities[0] - probabilities[1])
    assert sum(probabilities) == pytest.approx(1, abs=1e-4)
    assert Path(cam).suffix == ".jpg"
    assert result["weights"]["file"] == "cnn/neu.safetensors"


def test_batch_keeps_going_past_a_bad_file(client: Client, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes((CAP / "good.jpg").read_bytes()[:400])
    paths = [CAP / "good.jpg", tmp_path / "torn.png", CAP / "chip.jpg"]
    result, table, report = client.predict(
        [handle_file(str(path)) for path in paths],
        "cae",
        "rendered_cap",
        1.0,
        api_name="/predict_batch",
    )
    rows = result["rows"]
    assert result["counts"] == {"photos": 3, "defective": 1, "normal": 1, "not_read": 1}
    assert [(row["file"], row["verdict"]) for row in rows] == [
        ("chip.jpg", "defective"),
        ("good.jpg", "normal"),
        ("torn.png", "not read"),
    ]
    with Path(table).open(encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    assert [line["file"] for line in lines] == [row["file"] for row in rows]
    assert "damaged" in lines[2]["note"]
    with zipfile.ZipFile(report) as archive:
        assert len(archive.namelist()) == 2 * 2 + 3
        assert json.loads(archive.read("manifest.json"))["counts"] == result["counts"]


def test_a_zip_is_a_batch(client: Client, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.write(CAP / "chip.jpg", "../../chip.jpg")
        archive.writestr("inner.zip", b"PK")
        archive.writestr("readme.txt", b"")
    sent = [handle_file(str(tmp_path / "photos.zip"))]
    result = client.predict(sent, "cae", "rendered_cap", 1.0, api_name="/predict_batch")[0]
    assert [(row["file"], row["verdict"]) for row in result["rows"]] == [
        ("chip.jpg", "defective"),
        ("inner.zip", "not read"),
    ]
    (tmp_path / "photos.zip").write_bytes(b"torn")
    sent = [handle_file(str(tmp_path / "photos.zip"))]
    with pytest.raises(AppError, match="not a ZIP archive") as caught:
        client.predict(sent, "cae", "rendered_cap", 1.0, api_name="/predict_batch")
    _plain(str(caught.value))


@pytest.mark.parametrize(
    ("photo", "arguments", "text"),
    [
        ("chip.jpg", ("resnet", "bottle", 1.0), 'no model "resnet"'),
        ("chip.jpg", ("cae", "teapot", 1.0), 'no category "teapot"'),
        ("chip.jpg", ("cae", "../../secrets", 1.0), "no category"),
        ("chip.jpg", ("vae", "rendered_cap", 1.0), "No VAE weights"),
        ("chip.jpg", ("cae", "rendered_cap", -2.0), "above 0"),
        (None, ("cae", "rendered_cap", 1.0), "no photo"),
    ],
)
def test_bad_requests_are_answered_in_a_sentence(
    client: Client, photo: str | None, arguments: tuple[Any, ...], text: str
) -> None:
    with pytest.raises(AppError, match=text) as caught:
        ask(client, CAP / photo if photo else None, *arguments)
    _plain(str(caught.value))


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("notes.png", b"just some text, no picture", "not a picture"),
        ("empty.jpg", b"", "empty"),
        ("torn.jpg", (CAP / "good.jpg").read_bytes()[:300], "damaged"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    ],
)
def test_bad_files_are_answered_in_a_sentence(
    client: Client, tmp_path: Path, name: str, content: bytes, text: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AppError, match=text) as caught:
        ask(client, tmp_path / name, "cae", "rendered_cap", 1.0)
    assert name in str(caught.value)
    _plain(str(caught.value))
    with pytest.raises(AppError, match=text):
        client.predict(handle_file(str(tmp_path / name)), api_name="/predict_cnn")


def test_batches_have_bounds(client: Client) -> None:
    with pytest.raises(AppError, match="no photos yet"):
        client.predict([], "cae", "rendered_cap", 1.0, api_name="/predict_batch")


@pytest.mark.parametrize("meta", [{"meta": {"_type": "gradio.FileData"}}, {}, {"meta": {}}])
@pytest.mark.parametrize(
    "endpoint", ["predict_autoencoder", "predict_cnn", "predict_batch", "compare"]
)
def test_files_of_the_server_stay_there(
    app_url: str, tmp_path: Path, endpoint: str, meta: dict[str, Any]
) -> None:
    """A path that was not uploaded is refused, even of a photo that exists."""
    shutil.copy(CAP / "chip.jpg", tmp_path / "private.jpg")
    photo = {"path": str(tmp_path / "private.jpg"), **meta}
    payloads: dict[str, list[Any]] = {
        "predict_autoencoder": [photo, "cae", "rendered_cap", 1.0],
        "predict_cnn": [photo],
        "compare": [photo, "rendered_cap", 1.0, ""],
        "predict_batch": [[photo], "cae", "rendered_cap", 1.0],
    }
    answer = _ask_plainly(app_url, endpoint, payloads[endpoint])
    assert "event: complete" not in answer
    assert "private.jpg" not in answer


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([{"url": "data:image/png;base64,AAAA"}, "cae", "rendered_cap", 1.0], "as a file"),
        (["photo", "cae", "rendered_cap", None], "number above 0"),
    ],
)
def test_strange_payloads_are_answered_in_a_sentence(
    app_url: str, client: Client, data: list[Any], text: str
) -> None:
    if data[0] == "photo":
        with pytest.raises(AppError, match=text):
            ask(client, CAP / "chip.jpg", *data[1:])
    else:
        assert text in _ask_plainly(app_url, "predict_autoencoder", data)


def washer(folder: Path, seed: int) -> Any:
    path = folder / f"washer_{seed}.png"
    Image.fromarray(render("rendered_washer", seed, "good").image).save(path)
    return handle_file(str(path))


def test_a_taught_detector_works_in_every_endpoint(
    client: Client, app_url: str, tmp_path: Path
) -> None:
    good = [washer(tmp_path, 40 + i) for i in range(FEW)]
    key, summary, file = client.predict(good, "washer", api_name="/teach")
    assert (summary["name"], summary["photos"]) == ("washer", FEW)
    assert any("how good parts differ" in note for note in summary["notes"])
    photo = washer(tmp_path, 60)

    answer = client.predict(photo, key, "bottle", 1.0, api_name="/predict_autoencoder")
    result, overlay, reconstruction, mask = answer
    assert (result["model"], result["category"]) == ("memory", "washer")
    assert result["defective"] == (result["score"] >= result["threshold"] == 1.0)
    assert reconstruction is None and Path(overlay).is_file() and Path(mask).is_file()

    compared, overlays = client.predict(photo, "rendered_washer", 1.0, key, api_name="/compare")
    scores = {(one["model"], one["category"]): one["score"] for one in compared["results"]}
    assert scores[("memory", "washer")] == pytest.approx(result["score"])
    assert {("dae", "rendered_washer"), ("memory", "rendered_washer")} <= scores.keys()
    assert len(overlays) == len(scores)
    alone, _ = client.predict(photo, "", 1.0, key, api_name="/compare")
    assert [one["category"] for one in alone["results"]] == ["washer"]

    batch, table, report = client.predict([photo], key, "", 1.0, api_name="/predict_batch")
    assert batch["counts"]["photos"] == 1
    assert batch["rows"][0]["score"] == pytest.approx(result["score"], abs=1e-3)
    assert batch["rows"][0]["category"] == "washer" and Path(table).is_file()
    with zipfile.ZipFile(report) as archive:
        assert json.loads(archive.read("manifest.json"))["category"] == "washer"

    again, loaded = client.predict(handle_file(file), api_name="/load_detector")
    assert again != key and loaded["photos"] == FEW
    stranger = Client(app_url, verbose=False)
    same = stranger.predict(photo, again, "", 1.0, api_name="/predict_autoencoder")[0]
    assert same["score"] == pytest.approx(result["score"])
    for guess in ("", "guess"):
        with pytest.raises(AppError, match=f'no model "{guess}"'):
            stranger.predict(photo, guess, "bottle", 1.0, api_name="/predict_autoencoder")
    with pytest.raises(AppError, match="no longer kept"):
        stranger.predict(photo, "x" * len(key), "", 1.0, api_name="/predict_autoencoder")


def test_a_detector_that_is_none_is_refused(client: Client, tmp_path: Path) -> None:
    with pytest.raises(AppError, match="not a detector") as caught:
        client.predict(washer(tmp_path, 61), api_name="/load_detector")
    _plain(str(caught.value))
    with pytest.raises(AppError, match="no photos yet"):
        client.predict([], "x", api_name="/teach")


def test_the_category_is_recognised(client: Client, tmp_path: Path) -> None:
    assert client.predict(washer(tmp_path, 61), api_name="/recognise")[0] == "rendered_washer"


def _ask_plainly(app_url: str, endpoint: str, data: list[Any]) -> str:
    """What the server says to a program that does not use the Gradio client."""
    url = f"{app_url}/gradio_api/call/{endpoint}"
    answer = httpx.post(url, json={"data": data}, timeout=20)
    if answer.status_code != 200:
        return answer.text
    return httpx.get(f"{url}/{json.loads(answer.text)['event_id']}", timeout=20).text


def _plain(text: str) -> None:
    """For people: a sentence, no trace and no folder of the server."""
    assert "Traceback" not in text
    assert "/tmp" not in text
    assert ".py" not in text
