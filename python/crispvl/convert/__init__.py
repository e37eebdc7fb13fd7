"""Converts InternVL checkpoints to GGUF files that crispvl and llama.cpp read."""

from __future__ import annotations

from crispvl.convert.convert import ConversionReport, convert_checkpoint, convert_header

__all__ = ["ConversionReport", "convert_checkpoint", "convert_header"]
