"""The recipe's modules import each other as scripts of one folder; here they are on the path."""

from __future__ import annotations

import sys
from pathlib import Path

RECIPE = Path(__file__).resolve().parents[2] / "models" / "nano"
sys.path.append(str(RECIPE))
