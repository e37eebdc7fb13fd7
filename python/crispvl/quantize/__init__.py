"""Makes model files smaller: recipes, importance matrices, and the writer behind the commands."""

from __future__ import annotations

from crispvl.quantize.quantize import QuantizeReport, quantize_file
from crispvl.quantize.recipes import RECIPES

__all__ = ["RECIPES", "QuantizeReport", "quantize_file"]
