"""The Space deploys as it is: front matter, licence, large files, Python versions, sync."""

from __future__ import annotations

import ast
import importlib
import os
import re
import socket
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from defect.ui import zero_gpu
from defect.weights import resolution as sources
from defect.weights.files import WEIGHTS_FOLDER, read_index, read_metadata
from tests.conftest import ROOT, free_port, wait_for

README = (ROOT / "README.md").read_text(encoding="utf-8")
HEAD = README.split("---\n")[1]
FRONT = yaml.safe_load(HEAD)
DOCUMENTED = {
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version"),
    *("app_file", "app_build_command", "app_port", "base_path", "fullWidth", "header"),
    *("short_description", "models", "datasets", "tags", "thumbnail", "pinned", "license"),
    *("suggested_hardware", "suggested_storage", "startup_duration_timeout"),
    *("disable_embedding", "custom_headers", "preload_from_hub"),
    *("hf_oauth", "hf_oauth_scopes", "hf_oauth_expiration_minutes", "hf_oauth_authorized_org"),
}
"""Of the Hub's reference of a Space's configuration."""
NEEDED = {
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file"),
    *("license", "short_description", "thumbnail", "tags", "datasets", "suggested_hardware"),
}
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
LFS_BYTES = 10 * 1000**2


def test_the_front_matter_has_what_is_needed_and_nothing_unknown() -> None:
    assert NEEDED <= set(FRONT) <= DOCUMENTED
    assert (FRONT["sdk"], FRONT["app_file"]) == ("gradio", "app.py")
    assert {FRONT["colorFrom"], FRONT["colorTo"]} <= COLOURS
    assert len(FRONT["short_description"]) <= 60
    assert len(FRONT["emoji"]) <= 2 and not FRONT["emoji"].isascii()
    assert FRONT["suggested_hardware"] in {"cpu-basic", "cpu-upgrade", "zero-a10g"}
    assert (ROOT / FRONT["app_file"]).is_file() and (ROOT / FRONT["thumbnail"]).is_file()
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", name) for name in FRONT["datasets"])


def test_versions_are_text_and_fit_the_requirements() -> None:
    """Unquoted, YAML would take 3.10 for 3.1."""
    assert re.search(r'^sdk_version: "\d+\.\d+\.\d+"$', HEAD, re.MULTILINE)
    assert re.search(r'^python_version: "3\.1[0-2]"$', HEAD, re.MULTILINE)
    assert f"gradio=={FRONT['sdk_version']}\n" in (ROOT / "requirements.txt").read_text()


def test_the_licence_is_that_of_the_weights_it_serves() -> None:
    licences = [
        read_metadata(WEIGHTS_FOLDER / entry.file).licence for entry in read_index(WEIGHTS_FOLDER)
    ]
    assert any("BY-NC-SA 4.0" in licence for licence in licences)
    assert FRONT["license"] == "cc-by-nc-sa-4.0"
    assert "**Not for commercial use:**" in README


def test_files_are_preloaded_only_from_the_repository_pinned() -> None:
    pin = sources.pin(WEIGHTS_FOLDER)
    if pin is None:
        assert "preload_from_hub" not in FRONT and "models" not in FRONT
        return
    listed = {entry.file for entry in sources.only_on_hub(WEIGHTS_FOLDER)}
    for line in FRONT.get("preload_from_hub", []):
        repo, files, revision = line.split(" ")
        assert (repo, revision) == (pin.repo, pin.revision)
        assert set(files.split(",")) <= listed
    assert FRONT.get("models", [pin.repo]) == [pin.repo]


def test_large_files_are_marked_and_named() -> None:
    large = [e.file for e in read_index(WEIGHTS_FOLDER) if e.size > LFS_BYTES]
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    paths = {f"weights/{file}" for file in large}
    for name in tracked.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file() and path.stat().st_size > LFS_BYTES:
            paths.add(name)
    for name in sorted(paths):
        described = subprocess.run(
            ["git", "check-attr", "filter", name], cwd=ROOT, capture_output=True, text=True
        )
        assert described.stdout.strip() == f"{name}: filter: lfs"


@pytest.mark.parametrize("version", [(3, 10), (3, 12)])
def test_the_code_is_python_of_every_version_promised(version: tuple[int, int]) -> None:
    for path in [ROOT / "app.py", *(ROOT / "defect").rglob("*.py")]:
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=version)


def test_zero_gpu_is_used_where_it_is_and_ignored_where_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    marked: list[str] = []

    def mark(function):
        marked.append(function.__name__)
        return function

    fake = types.ModuleType("spaces")
    fake.GPU = mark  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "spaces", fake)
        assert importlib.reload(zero_gpu).device() in ("cpu", "cuda")
        assert marked == ["device"]
    monkeypatch.setitem(sys.modules, "spaces", None)
    assert importlib.reload(zero_gpu).gpu(len) is len


def test_the_gpu_package_is_imported_before_torch(tmp_path: Path) -> None:
    """`spaces` patches CUDA, and refuses to where torch was imported first."""
    (tmp_path / "spaces.py").write_text(
        "import sys\n"
        "assert 'torch' not in sys.modules, 'torch was imported first'\n"
        "def GPU(function): return function\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import app, sys; assert 'spaces' in sys.modules"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]


def test_the_sync_is_off_until_its_secret_exists() -> None:
    path = ROOT / ".github/workflows/sync-to-space.yml"
    flow = yaml.safe_load(path.read_text())
    job = flow["jobs"]["sync"]
    first, *rest = job["steps"]
    assert job["env"]["HF_TOKEN"] == "${{ secrets.HF_TOKEN }}"
    assert '[ -n "$HF_TOKEN" ] && [ -n "$SPACE" ]' in first["run"]
    assert rest and all(step["if"] == "steps.on.outputs.on == 'yes'" for step in rest)
    assert not re.search(r"hf_\w{10}", path.read_text())


def test_actions_are_pinned_by_commit() -> None:
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        used = re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8"))
        assert used
        assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)


def test_a_hub_that_never_answers_is_not_asked_at_start_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = free_port()
        environment = os.environ | {
            "HF_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path / "home"),
            "DEFECT_HUB_REPO": "someone/defect-weights",
            "DEFECT_HUB_REVISION": "0" * 40,
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_TEMP_DIR": str(tmp_path / "gradio"),
        }
        log = tmp_path / "log.txt"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=output, stderr=output
            )
        try:
            wait_for(f"http://127.0.0.1:{port}/", process, log)
        finally:
            process.terminate()
            process.wait(20)
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()
