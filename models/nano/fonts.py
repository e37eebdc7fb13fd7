"""Fonts of the recipe: which files train the model, which only test it, and their measures.

All of them come from the Debian packages in ``apt-packages.txt``; none is committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageFont

FONT_ROOTS = (Path("/usr/share/fonts"), Path("/usr/share/texmf/fonts"))

# Families whose name starts like one of these never enter training: they are the test.
HELD_OUT_PREFIXES = ("Noto", "LinLibertine", "LinBiolinum", "ComicNeue")

TRAIN_FONTS = tuple(
    """
    LiberationSans-Regular LiberationSans-Regular LiberationSans-Bold LiberationSans-Italic
    LiberationSerif-Regular LiberationSerif-Regular LiberationSerif-Bold LiberationSerif-Italic
    LiberationMono-Regular LiberationMono-Regular LiberationMono-Bold LiberationSansNarrow-Regular
    DejaVuSans DejaVuSans-Bold DejaVuSans-Oblique DejaVuSansCondensed DejaVuSerif DejaVuSerif-Bold
    DejaVuSansMono DejaVuSansMono DejaVuSansMono-Bold DejaVuSerifCondensed
    Roboto-Regular Roboto-Medium Roboto-Bold Roboto-Italic Roboto-Light RobotoCondensed-Regular
    OpenSans-Regular OpenSans-Regular OpenSans-Semibold OpenSans-Bold OpenSans-Italic OpenSans-Light
    Lato-Regular Lato-Regular Lato-Medium Lato-Bold Lato-Italic Lato-Heavy
    Hack-Regular Hack-Regular Hack-Bold Carlito-Regular Carlito-Bold Carlito-Italic
    Caladea-Regular Caladea-Bold Caladea-Italic FreeSans FreeSansBold FreeSerif FreeSerifBold
    FreeSerifItalic FreeMono FreeMonoBold Cantarell-Regular Cantarell-Bold Cabin-Regular
    Cabin-Medium Cabin-Italic EBGaramond12-Regular EBGaramond12-Italic
    C059-Roman P052-Roman URWBookman-Light NimbusSansNarrow-Regular NimbusMonoPS-Regular
    NimbusMonoPS-Bold RobotoSlab-Regular OldStandard-Regular OldStandard-Italic Gentium-R Gentium-I
    CharisSIL-Regular Vollkorn-Regular Vollkorn-Bold Inter-Regular Inter-Medium
    JetBrainsMono-Regular JetBrainsMono-Bold mononoki-Regular
    Andika-Regular Andika-Regular Andika-Bold Andika-Bold Andika-Italic Comfortaa-Light
    Comfortaa-Regular Comfortaa-Bold Quicksand-Regular Quicksand-Regular Quicksand-Medium
    Quicksand-Bold URWGothic-Book URWGothic-Demi KleeOne-Regular KleeOne-Regular KleeOne-SemiBold
    Dosis-Book Dosis-SemiBold Jura-Medium Karla-Regular Karla-Bold Play-Regular OpenDyslexic-Regular
    monof55 FantasqueSansMono-Regular FantasqueSansMono-Bold
    lmroman10-regular lmroman10-regular lmroman10-bold lmroman10-italic lmromancaps10-regular
    lmsans10-regular lmmono10-regular lmmonolt10-regular texgyretermes-regular texgyretermes-bold
    texgyretermes-italic texgyrepagella-regular texgyrebonum-regular texgyreschola-regular
    texgyreheros-regular texgyreheros-bold texgyreheroscn-regular texgyreheroscn-bold
    texgyrecursor-regular texgyrecursor-bold Inconsolata OCRA OCRABold B612Mono-Regular
    B612Mono-Bold JunicodeTwoBeta-Regular JunicodeTwoBeta-Italic
    """.split()
)
MONO_FONTS = tuple(
    name
    for name in TRAIN_FONTS
    if "mono" in name.lower()
    or name.startswith(("Hack", "monof", "texgyrecursor", "Inconsolata", "OCRA"))
)
HELD_OUT_FONTS = (
    "NotoSans-Regular",
    "NotoSans-Bold",
    "NotoSerif-Regular",
    "NotoSansMono-Regular",
    "LinLibertine_R",
    "LinBiolinum_R",
    "ComicNeue-Regular",
    "ComicNeue-Bold",
)


@dataclass(frozen=True)
class Face:
    """One font at one size, with the measures that the page needs, in pixels."""

    font: ImageFont.FreeTypeFont
    ascent: int
    descent: int
    x_height: int

    def width(self, text: str) -> float:
        """Advance of a run of text, kerning included."""
        return self.font.getlength(text)

    def edges(self, text: str) -> list[float]:
        """Left edges of the characters and the right edge of the last, from 0.

        Single advances are scaled to the kerned total: exact at both ends, and far cheaper than
        measuring every prefix.
        """
        edges = [0.0]
        for char in text:
            edges.append(edges[-1] + advance(self.font, char))
        scale = self.width(text) / edges[-1] if edges[-1] else 1.0
        return [edge * scale for edge in edges]


@lru_cache(maxsize=200_000)
def advance(font: ImageFont.FreeTypeFont, char: str) -> float:
    """Advance width of one character in pixels."""
    return font.getlength(char)


@lru_cache(maxsize=200_000)
def has_glyph(font: ImageFont.FreeTypeFont, char: str) -> bool:
    """Whether a font draws a character as itself and not as the sign for a missing one."""
    return bytes(font.getmask(char)) != bytes(font.getmask("\ufffe"))


@cache
def font_paths() -> dict[str, Path]:
    """All installed font files by name without extension."""
    return {p.stem: p for root in FONT_ROOTS for p in sorted(root.rglob("*.[to]tf"))}


@cache
def face(name: str, size_px: int) -> Face:
    """Loads a font by file name (without extension) at an em size in pixels."""
    if name not in font_paths():
        raise FileNotFoundError(
            f"[fonts] expected the font {name}; not found under {FONT_ROOTS[0]}; "
            "install the packages of apt-packages.txt"
        )
    path = str(font_paths()[name])
    font = ImageFont.truetype(path, size_px, layout_engine=ImageFont.Layout.BASIC)
    ascent, descent = font.getmetrics()
    box = font.getbbox("x", anchor="ls")
    return Face(font, ascent, descent, x_height=-int(box[1]))


@cache
def x_height_ratio(name: str) -> float:
    """x-height per em."""
    return face(name, 100).x_height / 100
