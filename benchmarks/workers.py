"""One process against one and two workers of Ray on the same photos, in turns.

python -m benchmarks.workers [MODEL] [PHOTOS]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from defect.datasets import rendered

CATEGORY = "rendered_cap"
DRAWN = 80
"""Photos drawn; more are copies of these."""


def main(model: str = "cae", photos: int = 640) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = _draw(Path(temporary), photos)
        report: bytes | None = None
        for title, arguments in {
            "one process": (),
            "Ray, 1 worker": ("--engine", "ray", "--workers", "1"),
            "Ray, 2 workers": ("--engine", "ray", "--workers", "2"),
        }.items():
            out = Path(temporary) / title
            command = [sys.executable, "-m", "defect", "inspect", model, CATEGORY, str(folder)]
            whole, lines = _timed([*command, *arguments, "--out", str(out)])
            # From the first result to the last: without start-up and, with Ray, without the report.
            (first, seen), (last, all_seen) = lines[0], lines[-1]
            rate = (all_seen - seen) / (last - first)
            table = (out / "report.csv").read_bytes()
            same = "" if report is None else f", same report: {table == report}"
            report = report or table
            print(f"{title}: {whole:.1f} s in all, {rate:.1f} photos/s under way{same}", flush=True)


def _draw(folder: Path, photos: int) -> Path:
    rendered.write_dataset(folder / "drawn", [CATEGORY], train=1, good=DRAWN // 2, defective=14)
    drawn = sorted((folder / "drawn" / CATEGORY / "test").glob("*/*.png"))
    target = folder / "photos"
    target.mkdir()
    for number in range(photos):
        shutil.copy(drawn[number % len(drawn)], target / f"{number:06d}.png")
    return target


def _timed(command: list[str]) -> tuple[float, list[tuple[float, int]]]:
    """Seconds in all, and (seconds, photos done) at every line that reports progress."""
    start = time.monotonic()
    lines: list[tuple[float, int]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout is not None
        for line in process.stdout:
            first, _, rest = line.partition(" ")
            if rest.startswith("of "):
                done = int(first)
            elif ".png: " in line:
                done = len(lines) + 1
            else:
                continue
            if done:
                lines.append((time.monotonic() - start, done))
    return time.monotonic() - start, lines


if __name__ == "__main__":
    model, photos = [*sys.argv[1:], *("cae", "640")[len(sys.argv) - 1 :]]
    main(model, int(photos))
