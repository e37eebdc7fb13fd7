"""Where model files come from: the package itself, and the Hugging Face hub with its cache."""

from __future__ import annotations

from crispvl.hub.huggingface import DEFAULT_FILES, download, parse_name

__all__ = ["DEFAULT_FILES", "download", "parse_name"]
