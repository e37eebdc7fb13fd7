"""Writes the Unicode tables of csrc/text/unicode.cpp from this Python's `unicodedata`.

Usage: ``python generate_unicode_tables.py OUT.inc``

The build runs it, so the tables have the Unicode version of the Python that builds (3.10 has 13.0,
3.11 has 14.0, 3.14 has 16.0). Unicode never changes the letters, digits, spaces or normal forms of
characters that are assigned already; only characters added later than that version differ from a
newer engine: here they are neither letter nor digit and pass NFC unchanged.
"""

from __future__ import annotations

import itertools
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

N_CODE_POINTS = 0x110000
# White_Space is not in unicodedata: the separators (Zs, Zl, Zp) and these controls make it up.
SPACE_CONTROLS = frozenset([*range(0x09, 0x0E), 0x85])
HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)  # composed by arithmetic in unicode.cpp
HANGUL_VOWELS_AND_FINALS = frozenset([*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)])


def char_class(code: int) -> str:
    """The CharClass of a code point: letter for \\p{L}, number for \\p{N}, space for \\s."""
    category = unicodedata.category(chr(code))
    if category[0] == "L":
        return "CharClass::letter"
    if category[0] == "N":
        return "CharClass::number"
    if category[0] == "Z" or code in SPACE_CONTROLS:
        return "CharClass::space"
    return ""


def letter_case(code: int) -> str:
    """The LetterCase of a code point."""
    category = unicodedata.category(chr(code))
    if category in ("Lu", "Lt"):
        return "LetterCase::upper"
    if category == "Ll":
        return "LetterCase::lower"
    return "LetterCase::both" if category in ("Lm", "Lo", "Mn", "Mc", "Me") else ""


def direction(code: int) -> str:
    """The Direction of a code point that has a strong one."""
    kinds = {"L": "Direction::to_right", "R": "Direction::to_left", "AL": "Direction::to_left"}
    return kinds.get(unicodedata.bidirectional(chr(code)), "")


def is_decimal(code: int) -> str:
    """Whether a code point is a decimal digit."""
    return "true" if unicodedata.category(chr(code)) == "Nd" else ""


def combining_class(code: int) -> str:
    """The canonical combining class, or nothing for a starter (class 0)."""
    return str(unicodedata.combining(chr(code)) or "")


def decomposition(code: int) -> list[int]:
    """One level of canonical decomposition: one or two code points, or none."""
    fields = unicodedata.decomposition(chr(code)).split()
    return [] if not fields or fields[0].startswith("<") else [int(field, 16) for field in fields]


def ranges(value_of: Callable[[int], str]) -> Iterable[str]:
    """Rows ``{first, last, value}`` for the runs of code points that share a value."""
    for value, run in itertools.groupby(range(N_CODE_POINTS), value_of):
        codes = list(run)
        if value:
            yield f"{{{codes[0]:#x}, {codes[-1]:#x}, {value}}}"


def table(element: str, name: str, rows: Iterable[str]) -> str:
    """One constant array, a row per line."""
    return f"constexpr {element} {name}[] = {{\n    " + ",\n    ".join(rows) + ",\n};\n"


def unicode_tables() -> str:
    """The text of the include file."""
    pairs = {
        code: decomposition(code)
        for code in range(N_CODE_POINTS)
        if code not in HANGUL_SYLLABLES and decomposition(code)
    }
    # A pair composes unless the standard excludes it, in which case NFC takes the character apart.
    composites = sorted(
        (*parts, code)
        for code, parts in pairs.items()
        if len(parts) == 2 and unicodedata.normalize("NFC", chr(code)) == chr(code)
    )
    seconds = {second for _, second, _ in composites} | HANGUL_VOWELS_AND_FINALS

    def nfc_active(code: int) -> str:
        """Whether NFC may change a text because this character is in it."""
        alone = chr(code)
        if unicodedata.combining(alone) or code in seconds:
            return "true"
        return "true" if unicodedata.normalize("NFC", alone) != alone else ""

    return "\n".join(
        [
            f"// Unicode {unicodedata.unidata_version}, written by generate_unicode_tables.py.",
            table("Range<CharClass>", "kCharClasses", ranges(char_class)),
            table("Range<LetterCase>", "kLetterCases", ranges(letter_case)),
            table("Range<Direction>", "kDirections", ranges(direction)),
            table("Range<bool>", "kDecimals", ranges(is_decimal)),
            table("Range<int>", "kCombiningClasses", ranges(combining_class)),
            table("Range<bool>", "kNfcActive", ranges(nfc_active)),
            "// {character, first, second or 0}",
            table(
                "Decomposition",
                "kDecompositions",
                (
                    f"{{{c:#x}, {p[0]:#x}, {p[1] if len(p) == 2 else 0:#x}}}"
                    for c, p in pairs.items()
                ),
            ),
            "// {first, second, character}",
            table(
                "Composition",
                "kCompositions",
                (f"{{{first:#x}, {second:#x}, {code:#x}}}" for first, second, code in composites),
            ),
        ]
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("[generate_unicode_tables] expected one argument, the file to write")
    Path(sys.argv[1]).write_text(unicode_tables(), encoding="utf-8", newline="\n")
