"""The Space deploys as it is: head of the README, large files, Python versions, ZeroGPU, sync."""

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
from defect.weights.index import WEIGHTS_FOLDER, read_index
from tests.conftest import ROOT, free_port, wait_for

FRONT = yaml.safe_load((ROOT / "README.md").read_text(encoding="utf-8").split("---\n")[1])
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
LFS_BYTES = 10 * 1000**2


def test_the_head_has_what_is_needed_and_nothing_unheard_of() -> None:
    assert NEEDED <= set(FRONT) <= DOCUMENTED
    assert len(FRONT["emoji"]) <= 2 and not FRONT["emoji"].isascii()
    assert FRONT["suggested_hardware"] in {"cpu-basic", "cpu-upgrade", "zero-a10g"}
    assert (ROOT / FRONT["app_file"]).is_file()
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", name) for name in FRONT["datasets"])


def test_versions_are_given_as_text_and_fit_the_requirements() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n")[1]
    assert re.search(r'^sdk_version: "\d+\.\d+\.\d+"$', text, re.MULTILINE)
    assert re.search(r'^python_version: "3\.1[0-2]"$', text, re.MULTILINE)
    assert f"gradio=={FRONT['sdk_version']}" in (ROOT / "requirements.txt").read_text()


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


def test_requirements_are_pinned_and_need_no_gpu_package() -> None:
    lines = (ROOT / "requirements.txt").read_text().split()
    assert all(re.fullmatch(r"[\w-]+(\[[\w,]+\])?==[\w.]+", line) for line in lines)
    assert not any(line.startswith("spaces") for line in lines)


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


def test_the_gpu_package_is_imported_before_torch() -> None:
    names = [
        node.module if node.module != "defect" else f"defect.{node.names[0].name}"
        for node in ast.parse((ROOT / "app.py").read_text()).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("defect")
    ]
    assert names[0] == "defect.ui.zero_gpu"


def test_the_sync_is_off_until_its_secret_exists() -> None:
    path = ROOT / ".github/workflows/sync-to-space.yml"
    flow = yaml.safe_load(path.read_text())
    job = flow["jobs"]["sync"]
    first, *rest = job["steps"]
    assert job["env"]["HF_TOKEN"] == "${{ secrets.HF_TOKEN }}"
    assert '[ -n "$HF_TOKEN" ] && [ -n "$SPACE" ]' in first["run"]
    assert rest and all(step["if"] == "steps.on.outputs.on == 'yes'" for step in rest)
    assert not re.search(r"hf_\w{10}", path.read_text())


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
