"""Both languages say the same, and every message of the library has its Chinese."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from types import SimpleNamespace

import numpy as np
import pytest
from gradio.context import LocalContext

import defect
from defect.detectors import catalogue
from defect.detectors.autoencoder import brightness_note
from defect.evaluation import plots, scorecard
from defect.imaging.photo import ImageError, read_photo
from defect.inspection import Message
from defect.training.memory import teach
from defect.training.memory.outliers import REASONS
from defect.ui import i18n
from defect.ui.batches import inspection_task, start_batch
from defect.ui.i18n import (
    CHINESE,
    ENGLISH,
    label,
    library,
    texts_for,
    translate,
    translate_error,
    translate_message,
    translate_messages,
)
from defect.ui.tabs import cards, product
from defect.ui.tabs import results_tables as tables
from tests.conftest import EXAMPLES

DEFECT = Path(inspect.getfile(defect)).parent
UI = DEFECT / "ui"
ENGLISH_WORDS = re.compile(r"[A-Za-z][A-Za-z'’-]*(?:[ ,:]+[A-Za-z][A-Za-z'’-]*){2,}")
"""Three words in a row."""
NOT_SHOWN_IN_THE_APP = (
    "cli",
    "datasets",
    "evaluation",
    "reports",
    "training",
    "imaging/buckets.py",
    "weights/onnx_export.py",
    "weights/publish.py",
)
"""Whose messages only the command line, training or publishing can raise."""
SHOWN_NEVERTHELESS = ("training/memory/",)
COMPUTED = {f"outlier_{reason}": text for reason, text in REASONS.items()}
"""Messages whose key is not a literal in the code."""


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
    assert all(text.strip() for text in CHINESE.values())
    assert {key: fields(text) for key, text in ENGLISH.items()} == {
        key: fields(text) for key, text in CHINESE.items()
    }


def messages_in(file: Path) -> Iterator[tuple[str, set[str]]]:
    """(key, names of its values) of every `Message(...)` with a literal key."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "Message":
            continue
        literal = node.args[0]
        if isinstance(literal, ast.Constant):
            key = str(literal.value)
            names = {keyword.arg for keyword in node.keywords if keyword.arg}
            spread = any(keyword.arg is None for keyword in node.keywords)
            yield key, fields(library.MESSAGES.get(key, "")) if spread else names
        else:
            # A new one belongs into `COMPUTED`.
            assert ast.unparse(literal) == "f'outlier_{reasons[0]}'", (file, ast.unparse(literal))


def shown_messages() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {key: fields(text) for key, text in COMPUTED.items()}
    for file in sorted(DEFECT.rglob("*.py")):
        name = file.relative_to(DEFECT).as_posix()
        if name.startswith(NOT_SHOWN_IN_THE_APP) and not name.startswith(SHOWN_NEVERTHELESS):
            continue
        for key, values in messages_in(file):
            found[key] = found.get(key, set()) | values
    return found


def test_every_message_shown_in_the_app_has_its_chinese() -> None:
    found = shown_messages()
    assert len(found) > 60
    assert not found.keys() - library.MESSAGES.keys()
    assert not library.MESSAGES.keys() - found.keys()
    for key, text in library.MESSAGES.items():
        assert fields(text) <= found[key], key
        # Only the English sentence may need a value that Chinese words otherwise.
        assert len(found[key] - fields(text)) <= 1, key


def test_every_text_that_is_asked_for_is_there() -> None:
    asked = re.compile(r'(?:\btranslate|\blabel|_texts)\(\s*"(\w+)"\s*[,)]')
    for file in UI.rglob("*.py"):
        assert set(asked.findall(file.read_text(encoding="utf-8"))) <= ENGLISH.keys(), file.name
    named = re.compile(r'data-(?:text|hint|label)="(\w+)"|\btranslate\("(\w+)"[,)]')
    keys = set()
    for file in (UI / "static").iterdir():
        if file.is_file():
            keys |= {one or other for one, other in named.findall(file.read_text("utf-8"))}
    assert len(keys) > 30
    assert keys <= i18n.PAGE_TEXTS["en"].keys()


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


def test_programs_get_english() -> None:
    assert translate("defective") == "Defective"
    message = Message("teach_all_left_out", "All photos were left out.")
    assert translate_message(message) == "All photos were left out."
    assert type(translate_message(message)) is str


def test_a_label_may_have_a_value() -> None:
    key = label("batch_files", most=7).key  # type: ignore[attr-defined]
    assert ENGLISH[key] == "Photos or a ZIP of them (up to 7)"
    assert CHINESE[key] == "照片或照片的 ZIP（最多 7 张）"
    with pytest.raises(KeyError):
        label("nothing of this name")


def test_what_is_wrong_with_a_photo_is_said_in_chinese(chinese: None, tmp_path: Path) -> None:
    good = (EXAMPLES / "rendered_cap/good.jpg").read_bytes()
    bad = {"empty.jpg": b"", "note.png": b"text", "torn.jpg": good[:300], "a.svg": b"<svg/>"}
    errors = []
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError) as caught:
            read_photo(tmp_path / name)
        errors.append(caught.value)
    for shape in ((8, 8, 3), (5000, 20, 3)):
        with pytest.raises(ImageError) as caught:
            read_photo(np.zeros(shape, np.uint8))
        errors.append(caught.value)
    with pytest.raises(ImageError) as caught:
        read_photo(tmp_path / "absent.jpg")
    errors.append(caught.value)
    for text in map(translate_error, errors):
        assert not ENGLISH_WORDS.search(text.replace("PNG, JPEG", "")), text
    for note in (*brightness_note(1.2), *brightness_note(0.8)):
        assert not ENGLISH_WORDS.search(translate_message(note))


def test_what_batches_and_teaching_refuse_is_said_in_chinese(chinese: None, tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(b"torn")
    (tmp_path / "torn.png").write_bytes(b"torn")
    errors: list[Exception] = []
    task = inspection_task(catalogue.detector("cae", "rendered_cap"), 1.0)
    for paths in ([], [str(tmp_path / "photos.zip")], [str(EXAMPLES / "x.jpg")] * 201):
        with pytest.raises(ValueError) as caught:
            start_batch(paths, task)
        errors.append(caught.value)
    for paths in ([], [str(tmp_path / "torn.png")], ["x.jpg"] * 301):
        with pytest.raises(ValueError) as caught:
            teach(paths, "part")
        errors.append(caught.value)
    for text in map(translate_error, errors):
        assert not ENGLISH_WORDS.search(re.sub("`.*?`", "", text)), text


def test_the_card_of_a_taught_detector_is_chinese(chinese: None) -> None:
    paths = [str(path) for path in sorted(EXAMPLES.glob("rendered_cap/*.jpg"))]
    detector = teach([*paths, str(EXAMPLES / "rendered_weave/good.jpg"), paths[0]], "帽")
    card = re.sub("<.*?>", " ", product._detector_card(detector, detector.teaching))
    assert "学会 帽" in card and "1 张照片与其他照片重复" in card
    assert not ENGLISH_WORDS.search(card), card


def test_what_the_headers_say_has_its_chinese(chinese: None) -> None:
    found = scorecard.read_results()
    for category in catalogue.categories().values():
        assert not ENGLISH_WORDS.search(cards.expectation(category))
        for model in category.models:
            text = cards.origin(*catalogue.header(model, category.name))
            assert not ENGLISH_WORDS.search(text.replace("CC BY-NC-SA 4.0, MVTec Software", ""))
    assert not ENGLISH_WORDS.search(tables.reading(scorecard.rows(found)))
    steel = scorecard.steel_of(found)
    assert steel is not None
    assert not ENGLISH_WORDS.search(tables.steel_summary(steel))


def test_figures_are_written_in_chinese(chinese: None) -> None:
    assert plots.TEXTS.keys() == library.FIGURES.keys()
    assert {key: fields(text) for key, text in plots.TEXTS.items()} == {
        key: fields(text) for key, text in library.FIGURES.items()
    }
    texts = i18n.figure_texts(plots.TEXTS)
    classes = catalogue.header("cnn", "neu")[0].test["per_class"]
    names = [i18n.name_of(kind, short=True) for kind in classes]
    drawn = [
        plots.roc_figure([0.1, 0.9, 0.4], [0.1, 0.2, 0.3], [False, True, False], texts),
        plots.training_figure([2.0, 1.0], [2.0, 1.0], 2, texts),
        plots.confusion_figure(np.eye(6, dtype=int).tolist(), names, texts),
    ]
    for figure in drawn:
        svg = plots.to_svg(figure, "figure")
        written = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
        assert len(written) > 5
        assert not [text for text in written if re.search("[A-Za-z]", text)]


def test_messages_inside_messages_are_translated_too(chinese: None) -> None:
    empty = Message("photo_empty", '"{name}" is empty.', name="a. b.png")
    outer = Message("teach_none_usable", "None of the photos can be used. {why}", why=empty)
    assert translate_message(outer) == (
        "这些照片都不能使用。“a. b.png”是空文件（0 字节）。请重新保存或发送照片。"
    )
    assert translate_error(ValueError(outer)) == translate_message(outer)
    first = Message("photo_animation", "Animation: only its first frame was used.")
    assert translate_messages([first, "Unheard of."]) == "动图：只使用了第一帧。Unheard of."
    assert translate_message(Message("unknown_key", "Not in any table.")) == "Not in any table."


def test_an_example_is_named_in_chinese(chinese: None) -> None:
    assert i18n.name_of("scratches") == "划痕 scratches"
    assert i18n.name_of("scratches", short=True) == "划痕"
    assert i18n.name_of("rotor") == "rotor"
