"""`python -m defect …`"""

from __future__ import annotations

import sys

from defect.cli import main

if __name__ == "__main__":
    sys.exit(main())
