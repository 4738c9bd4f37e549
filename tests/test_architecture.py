"""The house as docs/architecture.md draws it: floors, no circles, one file for what is private.

Everything is read from the source (`ast`), so that an import inside a function counts too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "defect"
FLOORS = {
    1: {"inspection", "imaging", "networks"},
    2: {"weights", "datasets"},
    3: {"detectors"},
    4: {"training", "evaluation", "reports"},
    5: {"cli", "ui"},
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
DOOR = "defect"
"""`defect/__init__.py`: imports anything when it is used; floor 4 and up may ask its version."""
COMMON = "inspection"
"""The value that travels, and its messages: at hand in every room, and itself needing none."""
BANNED = {
    *("given", "odd", "places", "parts", "wire", "kept", "spoken"),
    *("novelty", "taught", "words", "told", "settle", "strangest"),
}
PRIVATE_MODULE = re.compile(r"gradio\.(\w+_utils|route_utils|state_holder|context)\b")
LIBRARIES = ("gradio", "huggingface_hub")


def _modules() -> list[Path]:
    return [*sorted(PACKAGE.rglob("*.py")), ROOT / "app.py"]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def _short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _room(path: Path) -> str:
    """The two entry points belong to the rooms they start."""
    if path.parent in (PACKAGE, ROOT):
        entries = {"__init__": DOOR, "__main__": "cli", "app": "ui"}
        return entries.get(path.stem, path.stem)
    return path.relative_to(PACKAGE).parts[0]


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name imported from it or "") of every import, also inside functions."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{_short(path)}: imports are absolute"
            for alias in node.names:
                yield node.module or "", alias.name


def _rooms_used(path: Path) -> Iterator[tuple[str, str]]:
    """(room, what is imported) of every import of this project's own."""
    for module, name in _imports(path):
        first, _, rest = module.partition(".")
        if first != "defect":
            continue
        room = rest.split(".")[0] or (name if name in FLOOR_OF else DOOR)
        yield room, f"{module}:{name}" if name else module


def test_every_room_has_a_floor() -> None:
    rooms = {_room(path) for path in _modules()} - {DOOR}
    assert rooms == set(FLOOR_OF)


def test_only_three_files_stand_at_the_root() -> None:
    assert {path.name for path in PACKAGE.glob("*.py")} == {
        "__init__.py",
        "__main__.py",
        "inspection.py",
    }


def test_a_room_imports_only_from_the_floors_below() -> None:
    upward = []
    for path in _modules():
        room = _room(path)
        if room == DOOR:
            continue
        for used, what in _rooms_used(path):
            if used == DOOR:
                allowed = FLOOR_OF[room] >= 4 and what == "defect:__version__"
            else:
                allowed = used in (room, COMMON) or FLOOR_OF[used] < FLOOR_OF[room]
            if not allowed:
                upward.append(f"{_short(path)} imports {what}")
    assert not upward, "\n".join(upward)


def test_the_value_that_travels_needs_no_room() -> None:
    assert not list(_rooms_used(PACKAGE / "inspection.py"))


def test_the_door_imports_nothing_until_it_is_used() -> None:
    """`import defect` is quick: what it needs is imported inside functions or for types alone."""
    eager = [
        ast.unparse(node)
        for node in _tree(PACKAGE / "__init__.py").body
        if isinstance(node, (ast.Import, ast.ImportFrom)) and "defect" in ast.unparse(node)
    ]
    assert not eager


def test_no_circle_between_rooms() -> None:
    uses: dict[str, set[str]] = {}
    for path in _modules():
        if (room := _room(path)) != DOOR:
            used = {used for used, _ in _rooms_used(path)}
            uses.setdefault(room, set()).update(used - {room, DOOR})

    def visit(room: str, above: tuple[str, ...]) -> None:
        assert room not in above, " → ".join((*above, room))
        for used in sorted(uses.get(room, ())):
            visit(used, (*above, room))

    for room in uses:
        visit(room, ())


def _private_uses(library: str, path: Path) -> Iterator[str]:
    """Imports of a library's private modules and names, and its private names as attributes."""
    bound: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == library:
                    bound.add(alias.asname or library)
                    yield from _if_private(alias.name, "")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == library:
            for alias in node.names:
                bound.add(alias.asname or alias.name)
                yield from _if_private(node.module or "", alias.name)
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Attribute):
            dotted = ast.unparse(node)
            if re.fullmatch(r"[\w.]+", dotted) and dotted.split(".")[0] in bound:
                library_name = dotted if dotted.startswith("gradio.") else f"{library}.{dotted}"
                yield from _if_private(library_name.rpartition(".")[0], node.attr)


def _if_private(module: str, name: str) -> Iterator[str]:
    dotted = f"{module}.{name}".rstrip(".")
    underscored = any(re.match(r"_(?!_)", part) for part in dotted.split("."))
    if underscored or PRIVATE_MODULE.match(dotted):
        yield dotted


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_is_private_to_a_library_is_touched_in_one_file(library: str) -> None:
    found = {_short(path): sorted(set(_private_uses(library, path))) for path in _modules()}
    touching = {file: names for file, names in found.items() if names}
    # Gradio's take two files, in a folder of their own.
    assert len({file.partition("_private/")[0] for file in touching}) <= 1, touching


def _identifiers(path: Path) -> Iterator[str]:
    """Names of the module, its classes and functions, and the keys of its messages."""
    yield path.stem
    for node in ast.walk(_tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Message":
            key = node.args[0] if node.args else None
            if isinstance(key, ast.Constant):
                yield str(key.value)


def _explains_nothing(identifier: str) -> bool:
    """A banned word alone or inside a name; Ray's parts are called so in longer ones."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", identifier)
    pieces = [piece.lower() for piece in spaced.split("_") if piece]
    return bool(BANNED & set(pieces if len(pieces) == 1 else set(pieces) - {"parts"}))


def test_no_identifier_explains_nothing() -> None:
    found = [
        f"{_short(path)}: {name}"
        for path in _modules()
        for name in _identifiers(path)
        if _explains_nothing(name)
    ]
    assert not found, "\n".join(found)
    assert _explains_nothing("_parts") and _explains_nothing("TaughtDetectors")
    assert not _explains_nothing("inspect_parts") and not _explains_nothing("keywords")


def test_load_takes_any_text_without_a_type_error() -> None:
    silenced = [
        f"{_short(path)}:{number}"
        for folder in ("defect", "tests", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r"\bload\(.*#\s*type: ignore\[call-overload\]", line)
        and path != Path(__file__)
    ]
    assert not silenced


def test_a_violation_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules above do not hold merely because nothing is read."""
    (tmp_path / "imaging").mkdir()
    for name in ("first", "second"):
        (tmp_path / f"imaging/{name}.py").write_text(
            "import gradio as gr\n"
            "from gradio.route_utils import get_api_info\n"
            "def told_twice():\n"
            "    from defect.detectors import load\n"
            "    from defect import __version__\n"
            "    gr.blocks._private(Message('kept_words', 'Text'))\n"
        )
    (tmp_path / "detectors").mkdir()
    (tmp_path / "detectors/one.py").write_text("from defect.imaging import first\n")
    module = __name__
    monkeypatch.setattr(f"{module}.PACKAGE", tmp_path)
    monkeypatch.setattr(f"{module}._modules", lambda: sorted(tmp_path.rglob("*.py")))
    monkeypatch.setattr(f"{module}._short", lambda path: path.name)
    for rule in (
        test_every_room_has_a_floor,
        test_a_room_imports_only_from_the_floors_below,
        test_no_circle_between_rooms,
        lambda: test_what_is_private_to_a_library_is_touched_in_one_file("gradio"),
        test_no_identifier_explains_nothing,
    ):
        with pytest.raises(AssertionError):
            rule()
    path = tmp_path / "imaging/first.py"
    assert set(_private_uses("gradio", path)) == {
        "gradio.route_utils.get_api_info",
        "gradio.gr.blocks._private",
    }
    assert set(_identifiers(path)) == {"first", "told_twice", "kept_words"}
