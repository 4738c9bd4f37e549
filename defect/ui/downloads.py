"""Files a visitor can download or sees: written where the app serves and cleans them.

Every name holds 128 random bits, so that nobody finds what was made for somebody else.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np
from gradio.context import LocalContext
from gradio.utils import get_upload_folder

from defect.reports.writer import to_jpeg

SHOWN_QUALITY = 88


def download_path(name: str) -> Path:
    """Where to write a file that will be downloaded under this name; its folder is new."""
    return _noted(Path(get_upload_folder()) / secrets.token_urlsafe(16) / name)


def write_download(name: str, content: str | bytes) -> str:
    """Writes the text or bytes for download; returns the file's path."""
    path = download_path(name)
    path.parent.mkdir(parents=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def write_picture(name: str, data: bytes) -> str:
    """Writes an encoded picture, such as `overlay.jpg`; returns the file's path."""
    folder = Path(get_upload_folder()) / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    stem, _, suffix = name.rpartition(".")
    path = _noted(folder / f"{stem}-{secrets.token_urlsafe(16)}.{suffix}")
    path.write_bytes(data)
    return str(path)


def write_jpeg(name: str, pixels: np.ndarray) -> str:
    """Writes H×W×3 uint8 as `<name>-….jpg`; returns the file's path."""
    return write_picture(f"{name}.jpg", to_jpeg(pixels, SHOWN_QUALITY))


def _noted(path: Path) -> Path:
    """Has the running app remove the file in time, even where its visitor left before the answer;
    Gradio by itself knows only what was answered."""
    blocks = LocalContext.blocks.get(None)
    if blocks is not None:
        blocks.upload_file_set.add(str(path))
    return path
