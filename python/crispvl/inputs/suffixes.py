"""What files are called that can be read: those are taken from a folder.

A file that is named outright may have any name; what it is, its bytes tell.
"""

from __future__ import annotations

_OF_KINDS = {
    "PDF": "pdf",
    "AVIF": "avif avifs",
    "Blizzard": "blp",
    "BMP": "bmp dib",
    "DDS": "dds",
    "DCX": "dcx",
    "FITS": "fit fits",
    "Flic": "flc fli",
    "FTEX": "ftc ftu",
    "GIF": "gif",
    "GIMP brush": "gbr",
    "HEIF": "heic heics heif heifs hif",
    "icons": "cur icns ico",
    "IFUNC": "im",
    "JPEG": "jfif jif jpe jpeg jpg mpo",
    "JPEG 2000": "j2c j2k jp2 jpc jpf jpx",
    "Paint": "msp",
    "PCX": "pcx",
    "Photo CD": "pcd",
    "Photoshop": "psd",
    "PIXAR": "pxr",
    "PNG": "apng png",
    "PNM": "pbm pfm pgm pnm ppm",
    "QOI": "qoi",
    "SGI": "bw rgb rgba sgi",
    "Sun": "ras",
    "TGA": "icb tga vda vst",
    "TIFF": "tif tiff",
    "WebP": "webp",
    "X": "xbm xpm",
}

SUFFIXES = frozenset(f".{name}" for names in _OF_KINDS.values() for name in names.split())
"""In small letters, with their dots."""
