"""Both languages say the same, and what the library says has its Chinese."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from types import SimpleNamespace

import numpy as np
import pytest
from defect.training.teaching import teach
from gradio.context import LocalContext

from defect.detectors import catalogue
from defect.detectors.autoencoder import brightness_note
from defect.evaluation import plots as figures
from defect.evaluation import scorecard as results
from defect.imaging.photo import ImageError, read_photo
from defect.ui import batches as batch_work
from defect.ui import cards as words
from defect.ui import i18n as ui_texts
from defect.ui.i18n import CHINESE, ENGLISH, label, library, texts_for, translate, translate_message
from defect.ui.i18n.results import FIGURES
from defect.ui.tabs import product_html as product_words
from defect.ui.tabs import results_tables as results_words
from tests.conftest import EXAMPLES

UI = Path(inspect.getfile(ui_texts)).parent.parent
ENGLISH_WORDS = re.compile(r"[A-Za-z][A-Za-z'’-]*(?:[ ,:]+[A-Za-z][A-Za-z'’-]*){2,}")
"""Three words in a row."""


def asking(language: str, cookie: str = "") -> SimpleNamespace:
    cookies = {"language": cookie} if cookie else {}
    return SimpleNamespace(headers={"accept-language": language}, cookies=cookies)


@pytest.fixture
def chinese() -> Iterator[None]:
    token = LocalContext.request.set(asking("zh-CN,zh;q=0.9,en;q=0.8"))  # type: ignore[arg-type]
    yield
    LocalContext.request.reset(token)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    assert ENGLISH.keys() == CHINESE.keys()
    assert {key: fields(text) for key, text in ENGLISH.items()} == {
        key: fields(text) for key, text in CHINESE.items()
    }
    for english, text in {**library.SENTENCES, **FIGURES}.items():
        assert fields(text) <= fields(english), english


def test_every_text_that_is_asked_for_is_there() -> None:
    said = re.compile(r'(?:\bsay|\blabel|_said)\(\s*"(\w+)"\s*[,)]')
    for file in UI.glob("*.py"):
        assert set(said.findall(file.read_text(encoding="utf-8"))) <= ENGLISH.keys(), file.name
    named = re.compile(r'data-(?:say|hint|label)="(\w+)"|\bsay\("(\w+)"[,)]')
    for file in (UI / "page").iterdir():
        found = named.findall(file.read_text(encoding="utf-8"))
        keys = {one or other for one, other in found}
        assert keys <= ui_texts.PAGE_TEXTS["en"].keys(), file.name


@pytest.mark.parametrize(
    ("language", "cookie", "texts"),
    [
        ("zh-CN,zh;q=0.9", "", CHINESE),
        ("zh-TW", "", CHINESE),
        ("en-US,en;q=0.9,zh-CN;q=0.8", "", ENGLISH),
        ("de", "", ENGLISH),
        ("", "", ENGLISH),
        ("en-US", "zh-CN", CHINESE),
        ("zh-CN", "en", ENGLISH),
    ],
)
def test_the_language_is_the_one_asked_for_first(
    language: str, cookie: str, texts: dict[str, str]
) -> None:
    assert texts_for(asking(language, cookie)) is texts


def test_programs_hear_english() -> None:
    assert translate("defective") == "Defective"
    assert translate_message("All were left out.") == "All were left out."


def test_a_label_may_have_a_value() -> None:
    key = label("batch_files", most=7).key  # type: ignore[attr-defined]
    assert ENGLISH[key] == "Photos or a ZIP of them (up to 7)"
    assert CHINESE[key] == "照片或照片的 ZIP（最多 7 张）"
    with pytest.raises(KeyError):
        label("nothing of this name")


def test_what_photos_are_told_has_its_chinese(chinese: None, tmp_path: Path) -> None:
    good = (EXAMPLES / "rendered_cap/good.jpg").read_bytes()
    bad = {"empty.jpg": b"", "note.png": b"text", "torn.jpg": good[:3000], "a.svg": b"<svg/>"}
    described = []
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError) as caught:
            read_photo(tmp_path / name)
        described.append(str(caught.value))
    for size in ((8, 8), (5000, 40)):
        with pytest.raises(ImageError) as caught:
            read_photo(np.zeros((*size, 3), np.uint8))
        described.append(str(caught.value))
    with pytest.raises(ImageError) as caught:
        read_photo(tmp_path / "absent.jpg")
    described += [str(caught.value), *brightness_note(1.2), *brightness_note(0.8)]
    for text in described:
        assert translate_message(text) != text
        assert not ENGLISH_WORDS.search(translate_message(text).replace("PNG, JPEG", "")), translate_message(text)


def test_what_batches_and_teaching_refuse_has_its_chinese(chinese: None, tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(b"torn")
    (tmp_path / "torn.png").write_bytes(b"torn")
    described = []
    for paths in ([], [str(tmp_path / "photos.zip")], [str(EXAMPLES / "x.jpg")] * 201):
        with pytest.raises(ValueError) as caught:
            batch_work.start_batch(paths, "cae", "rendered_cap", 1.0)
        described.append(str(caught.value))
    for paths in ([], [str(tmp_path / "torn.png")], ["x.jpg"] * 301):
        with pytest.raises(ValueError) as caught:
            teach(paths, "part")
        described.append(str(caught.value))
    for text in described:
        assert not ENGLISH_WORDS.search(re.sub("`.*?`", "", translate_message(text))), translate_message(text)


def test_what_a_taught_detector_says_is_chinese(chinese: None) -> None:
    paths = [str(path) for path in sorted(EXAMPLES.glob("rendered_cap/*.jpg"))]
    product = teach([*paths, str(EXAMPLES / "rendered_weave/good.jpg"), paths[0]], "帽")
    card = re.sub("<.*?>", " ", product_words.taught(product))
    assert "学会 帽" in card and "1 张与其他照片重复" in card
    assert not ENGLISH_WORDS.search(card), card


def test_what_the_headers_say_has_its_chinese(chinese: None) -> None:
    found = results.read_results()
    for category in catalogue.categories().values():
        assert not ENGLISH_WORDS.search(words.expectation(category))
        for model in category.models:
            described = words.origin(*catalogue.header(model, category.name))
            assert not ENGLISH_WORDS.search(described.replace("CC BY-NC-SA 4.0, MVTec Software", ""))
    assert not ENGLISH_WORDS.search(results_words.reading(results.rows(found)))
    steel = results.steel_of(found)
    assert steel is not None
    assert not ENGLISH_WORDS.search(results_words.steel_summary(steel))


def test_figures_are_written_in_chinese() -> None:
    classes = list(catalogue.header("cnn", "neu")[0].test["per_class"])
    drawn = [
        figures.roc_figure([0.1, 0.9, 0.4], [0.1, 0.2, 0.3], [False, True, False]),
        figures.histogram_figure([0.5], [0.7], [1.4]),
        figures.training_figure([2.0, 1.0], [2.0, 1.0], 2),
        figures.confusion_figure(np.eye(6, dtype=int).tolist(), classes),
    ]
    for figure in drawn:
        svg = library.translate_figure(figures.to_svg(figure, "figure"))
        written = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
        assert len(written) > 5
        assert not [text for text in written if re.search("[A-Za-z]", text)]


def test_sentences_that_follow_one_another_are_all_retold(chinese: None) -> None:
    described = translate_message(
        'None of the photos can be used. "a. b.png" is empty (0 bytes). Save or send the '
        "photo again."
    )
    assert described == "这些照片都不能使用。“a. b.png”是空文件（0 字节）。请重新保存或发送照片。"
    assert translate_message("Animation: only its first frame was used. Unheard of.") == (
        "动图：只使用了第一帧。Unheard of."
    )
    assert translate_message("is much darker than the others; looks blurred beside the others") == (
        "比其他照片暗得多；与其他照片相比显得模糊"
    )


def test_an_example_is_named_in_chinese(chinese: None) -> None:
    assert ui_texts.name_of("scratches") == "划痕 scratches"
    assert ui_texts.name_of("scratches", short=True) == "划痕"
    assert ui_texts.name_of("rotor") == "rotor"
