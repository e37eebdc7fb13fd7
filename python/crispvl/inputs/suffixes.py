"""What files are called that pages are kept in: those are taken from a folder.

A file that is named outright may have any name: its bytes tell what it is. Icons, game textures and
measurements (FITS) are read when they are named, but not picked up from a folder.
"""

from __future__ import annotations

_OF_KINDS = {
    "PDF": "pdf",
    "AVIF": "avif avifs",
    "BMP": "bmp dib",
    "DCX": "dcx",
    "GIF": "gif",
    "HEIF": "heic heics heif heifs hif",
    "JPEG": "jfif jif jpe jpeg jpg mpo",
    "JPEG 2000": "j2c j2k jp2 jpc jpf jpx",
    "Paint": "msp",
    "PCX": "pcx",
    "Photoshop": "psd",
    "PNG": "apng png",
    "PNM": "pbm pfm pgm pnm ppm",
    "QOI": "qoi",
    "SGI": "bw rgb rgba sgi",
    "Sun": "ras",
    "TGA": "icb tga vda vst",
    "TIFF": "tif tiff",
    "WebP": "webp",
}

SUFFIXES = frozenset(f".{name}" for names in _OF_KINDS.values() for name in names.split())
"""In small letters, with their dots."""
