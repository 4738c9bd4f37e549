"""What an installation gets: one list of dependencies, pinned, locked, and enough for the app."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomllib")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def pins(name: str) -> dict[str, str]:
    """Package → version of a requirements file, with those of the file it includes."""
    found: dict[str, str] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found |= pins(line[3:])
        elif line:
            package, _, version = line.partition("==")
            found[canonicalize_name(package.partition("[")[0])] = version
    return found


@pytest.mark.parametrize(
    ("requirements", "file"),
    [
        pytest.param(PROJECT["dependencies"], "requirements.txt", id="app"),
        pytest.param(EXTRAS["train"], "requirements.txt", id="train"),
        pytest.param(EXTRAS["onnx"], "requirements-dev.txt", id="onnx"),
        pytest.param(EXTRAS["ray"], "requirements-dev.txt", id="ray"),
        pytest.param(EXTRAS["backbones"], "requirements-dev.txt", id="backbones"),
        pytest.param(EXTRAS["mcp"], "requirements.txt", id="mcp"),
    ],
)
def test_every_dependency_is_pinned_to_a_version_it_allows(
    requirements: list[str], file: str
) -> None:
    pinned = pins(file)
    for requirement in map(Requirement, requirements):
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{file} does not pin {name}"
        assert requirement.specifier.contains(pinned[name]), requirement


def test_nothing_is_pinned_for_the_app_that_is_not_a_dependency() -> None:
    declared = [*PROJECT["dependencies"], *EXTRAS["train"]]
    assert set(pins("requirements.txt")) == {
        canonicalize_name(Requirement(text).name) for text in declared
    }


def test_pins_are_exact_and_need_no_gpu_package() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            assert re.fullmatch(r"-r [\w.-]+|[\w-]+(\[[\w,]+\])?==[\w.]+", line), line
    assert "spaces" not in pins("requirements.txt")


def locked() -> Iterator[tuple[str, str, int]]:
    """(package, version, number of hashes) of every entry of the lock."""
    for entry in re.split(r"\n(?=\S)", LOCK):
        if head := re.match(r"([\w.-]+)(?:\[[\w,]+\])?==(\S+)", entry):
            yield canonicalize_name(head[1]), head[2], entry.count("--hash=sha256:")


def test_the_lock_is_in_step_with_the_requirements() -> None:
    """Made anew by the command in its first lines, which CONTRIBUTING repeats."""
    entries = list(locked())
    versions = {name: version for name, version, _ in entries}
    assert len(versions) == len(entries) > 100
    assert all(hashes for _, _, hashes in entries)
    for name, version in pins("requirements-dev.txt").items():
        assert versions.get(name) == version, name


def test_the_lock_is_made_by_the_documented_command() -> None:
    command = LOCK.splitlines()[1].removeprefix("#").strip()
    assert command.startswith("uv pip compile ")
    for name in ("CONTRIBUTING.md", ".github/workflows/tests.yml"):
        assert command in (ROOT / name).read_text(encoding="utf-8"), name


def test_no_index_is_named() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "requirements.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text and "index-url " not in text.replace("--no-emit-index-url", "")


def test_the_command_and_the_page_s_files_are_part_of_the_package() -> None:
    from defect.cli import main

    assert PROJECT["scripts"] == {"defect": "defect.cli:main"}
    assert callable(main)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    globs = settings["tool"]["setuptools"]["package-data"]["defect.ui"]
    shipped = {path for pattern in globs for path in (ROOT / "defect/ui").glob(pattern)}
    others = {
        path
        for path in (ROOT / "defect").rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert others and others <= shipped


def test_the_app_needs_no_package_of_an_extra() -> None:
    """scikit-learn comes with the extra `train`, timm with `backbones`; what only inspects must
    load without them."""
    code = (
        "import sys; sys.modules['sklearn'] = sys.modules['timm'] = None\n"
        "import defect, defect.cli, defect.detectors.steel, defect.evaluation.scorecard\n"
        "defect.load; defect.teach\n"
        "import defect.detectors.memory.detector, defect.detectors.autoencoder\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
