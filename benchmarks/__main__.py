"""Every floor of the app's speed and memory in one table. Run it on a quiet machine:

python -m benchmarks            # minutes
python -m benchmarks --quick    # one photo and the engine only
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from benchmarks import inspection, server
from benchmarks.table import Line, show


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without the server")
    parser.add_argument("--requests", type=int, default=2000, help="for the memory (2000)")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        _print(inspection.one_photo())
        _print(inspection.many_photos(Path(folder)))
        if not options.quick:
            for lines in server.measure(Path(folder), options.requests):
                _print(lines)


def _print(lines: list[Line]) -> None:
    for line in lines:
        print(show(line), flush=True)


if __name__ == "__main__":
    main()
