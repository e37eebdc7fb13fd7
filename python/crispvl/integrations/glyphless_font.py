"""OCRmyPDF's font of invisible glyphs, with the characters beyond U+FFFF that it lacks.

Text that no installed font has is written with it. Without these, emoji would be left out.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable
from ocrmypdf.font import BuiltinFontProvider

_FALLBACK = "Occulta"
_BEYOND_BMP = range(0x10000, 0x32400)
"""The planes of scripts, emoji and Chinese characters (Unicode 16), up to the last in use."""

_LIKE = ord("A")  # whose glyph all of them get
_ONE_GLYPH_FOR_MANY = 13  # format of a character map
_WINDOWS, _ALL_OF_UNICODE = 3, 10  # its platform and encoding


def install() -> None:
    """Lets OCRmyPDF fall back to the larger font."""
    BuiltinFontProvider.FONT_FILES[_FALLBACK] = str(_enlarged())


@lru_cache(maxsize=1)
def _enlarged() -> Path:
    """Returns the font's file, which is there until the interpreter ends."""
    provider = BuiltinFontProvider()
    folder = Path(tempfile.mkdtemp(prefix="crispvl-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    font = TTFont(provider.get_fallback_font().font_path)
    known = font.getBestCmap()
    table: Any = CmapSubtable.newSubtable(_ONE_GLYPH_FOR_MANY)
    table.platformID, table.platEncID, table.language = _WINDOWS, _ALL_OF_UNICODE, 0
    table.cmap = {**known, **dict.fromkeys(_BEYOND_BMP, known[_LIKE])}
    font["cmap"].tables = [table]
    path = folder / "glyphless.ttf"
    font.save(path)
    return path
