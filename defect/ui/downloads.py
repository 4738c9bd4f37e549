"""Files a visitor can download or sees: written where the app serves and cleans them.

Every name holds 128 random bits, so that nobody finds what was made for somebody else.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np

from defect.detectors.detector import Detector
from defect.reports.rows import BYTE_ORDER_MARK
from defect.reports.writer import to_jpeg
from defect.ui.gradio_private import page as gradio_page

SHOWN_QUALITY = 88


def download_path(name: str) -> Path:
    """Where to write a file that will be downloaded under this name; its folder is new."""
    path = gradio_page.upload_folder() / secrets.token_urlsafe(16) / name
    gradio_page.delete_later(path)
    return path


def write_download(name: str, content: str | bytes) -> str:
    """Writes the text or bytes for download; returns the file's path."""
    path = download_path(name)
    path.parent.mkdir(parents=True)
    if isinstance(content, str):
        # Without a mark Excel takes a CSV's UTF-8 for something else.
        mark = BYTE_ORDER_MARK if name.endswith(".csv") else ""
        content = (mark + content).encode("utf-8", "backslashreplace")
    path.write_bytes(content)
    return str(path)


def write_picture(name: str, data: bytes) -> str:
    """Writes an encoded picture, such as `overlay.jpg`; returns the file's path."""
    folder = gradio_page.upload_folder() / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    stem, _, suffix = name.rpartition(".")
    path = folder / f"{stem}-{secrets.token_urlsafe(16)}.{suffix}"
    gradio_page.delete_later(path)
    path.write_bytes(data)
    return str(path)


def write_jpeg(name: str, pixels: np.ndarray) -> str:
    """Writes H×W×3 uint8 as `<name>-….jpg`; returns the file's path."""
    return write_picture(f"{name}.jpg", to_jpeg(pixels, SHOWN_QUALITY))


def write_detector(detector: Detector) -> str:
    """Writes the detector's file for download; returns the path."""
    path = download_path(f"{detector.category}.safetensors")
    path.parent.mkdir(parents=True)
    detector.save(path)
    return str(path)
