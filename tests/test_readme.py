"""README and docs keep their promises: links, commands, figures, and nothing that is only here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

import defect
from defect.cli import main
from defect.evaluation import scorecard
from defect.ui.tabs.api import examples
from defect.weights.index import read_index
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs/results.md").read_text(encoding="utf-8")
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "docs/quickstart.ipynb"],
    key=lambda path: path.as_posix(),
)
COMMAND = re.compile(r"(?<![\w/])python -m defect +([a-z]\w*)((?: +(?:[^\s`#|\\<]|\\\|)+)*)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_the_version_is_the_same_everywhere() -> None:
    version = defect.__version__
    assert f'\nversion = "{version}"\n' in text_of(ROOT / "pyproject.toml")
    assert f"\n## {version} " in text_of(ROOT / "CHANGELOG.md")
    citation = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
    assert (citation["version"], citation["cff-version"]) == (version, "1.2.0")
    assert citation["references"][0]["title"] == "Industrial Defect Detection Using Deep Learning"


def test_ci_runs_the_readme_s_test_command() -> None:
    last = (ROOT / ".ci/run").read_text(encoding="utf-8").strip().splitlines()[-1]
    assert f"```\n{last}\n```" in README
    for name in ("CONTRIBUTING.md", ".github/workflows/tests.yml"):
        assert last in text_of(ROOT / name), name


def anchors(page: Path) -> set[str]:
    """A page's headings as links name them."""
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(there), f"{page.name}: {target}"


def test_every_page_of_the_docs_is_linked() -> None:
    for page in ROOT.glob("docs/*.*"):
        if page.suffix in (".md", ".ipynb"):
            assert f"(docs/{page.name})" in README, page.name


def help_of(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert not ended.value.code
    return capsys.readouterr().out


def test_commands_and_their_options_exist(capsys: pytest.CaptureFixture[str]) -> None:
    used: dict[str, set[str]] = {}
    for page in PAGES:
        for command, rest in COMMAND.findall(text_of(page)):
            used.setdefault(command, set()).update(re.findall(r"(?<!\S)--[a-z-]+", rest))
    offered = set(re.findall(r"^    ([a-z]+)\b", help_of(capsys=capsys), re.MULTILINE))
    assert offered and set(used) == offered, "every command is documented, and no other"
    for command, options in used.items():
        text = help_of(command, capsys=capsys)
        assert all(re.search(rf"{option}\b", text) for option in options), (command, options)


def test_benchmarks_exist() -> None:
    named = {
        name
        for page in PAGES
        for name in re.findall(r"python -m benchmarks(?:\.(\w+))?", text_of(page))
    }
    assert named
    for name in named:
        assert (ROOT / "benchmarks" / f"{name or '__main__'}.py").is_file(), name


def test_endpoints_exist() -> None:
    code = "".join(path.read_text("utf-8") for path in (ROOT / "defect/ui").rglob("*.py"))
    named = re.findall(r"^\| `/(\w+)` \|", text_of(ROOT / "docs/api.md"), re.MULTILINE)
    assert len(named) > 5
    for name in named:
        assert f'api_name="{name}"' in code, name


def test_the_api_s_examples_are_the_app_s_own() -> None:
    page = text_of(ROOT / "docs/api.md")
    for name, code in examples():
        assert f"```{'bash' if name == 'curl' else name.lower()}\n{code}\n```" in page, name


def test_the_scorecard_is_the_headers_own() -> None:
    """`python -m defect results --markdown docs/results.md` would change nothing."""
    found = scorecard.read_results()
    transfer = scorecard.transfer_means(found)
    card = scorecard.to_markdown(scorecard.rows(found), scorecard.steel_of(found), transfer)
    assert scorecard.put_scorecard(RESULTS, card) == RESULTS


def test_the_readme_s_means_are_the_scorecard_s() -> None:
    """The README shows image AUROC, pixel AUROC, thesis score and the published figure."""
    written = {
        name.lower(): re.findall(r"\d\.\d{3}", cells)
        for name, cells in re.findall(r"^\| \**([^|*]+?)\** \|(.*)\|$", README, re.MULTILINE)
    }
    averages = scorecard.means(scorecard.rows(scorecard.read_results()))
    assert len(averages) == 5
    for mean in averages:
        figures = (
            *(mean.image_auroc, mean.pixel_auroc),
            *(mean.thesis_image_auroc, mean.published_image_auroc),
        )
        assert written[mean.who] == [f"{figure:.3f}" for figure in figures if figure is not None]


def test_every_bundled_detector_has_its_line() -> None:
    for entry in read_index():
        if entry.model in ("cae", "vae", "dae", "memory"):
            named = entry.category, entry.model.upper()
            assert re.search(r"^\| {}(?: †)? \| {} \|".format(*named), RESULTS, re.MULTILINE), named


def test_nothing_names_a_registry_or_a_place_on_one_machine() -> None:
    """`DEFECT_DATA` alone has a default outside the repository, in two files."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    outside = "../" + "shared"
    hosts = [host + ".org" for host in ("pypi", "pythonhosted", "registry.npmjs", "deb.debian")]
    places = ["/" + place + "/" for place in ("home", "work", "Users")]
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if path.suffix in {".png", ".jpg", ".safetensors"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        if name not in (".ci/run", "tests/conftest.py"):
            assert outside not in text, name
        found = [word for word in hosts if word in text]
        found += [word for word in places if re.search(rf"(?<![\w.}}]){word}", text)]
        assert not found, (name, found)
