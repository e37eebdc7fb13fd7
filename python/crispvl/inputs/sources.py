"""Documents as users have them, as pages that are loaded one at a time.

A document is whatever `open_image` takes, a PDF, an image file of several frames, or, where asked
for, a web address. `expand` finds the files that a user names by folder or pattern.
"""

from __future__ import annotations

import glob
import io
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from crispvl.errors import DocumentError, ImageError
from crispvl.inputs.data_uri import decode_data_uri, is_data_uri
from crispvl.inputs.decoding import Frames, describe_bytes
from crispvl.inputs.images import (
    ImageLike,
    checked_path,
    open_image,
    read_file,
    read_path,
    source_name,
    unknown_source,
)
from crispvl.inputs.pdf import PdfFile
from crispvl.inputs.suffixes import SUFFIXES
from crispvl.inputs.urls import fetch, is_url
from crispvl.inputs.utf8 import path_name
from crispvl.options import InputOptions
from crispvl.options.page_ranges import select_pages

_HEAD_BYTES = 1024  # PDFium finds a PDF's mark anywhere in them

_IMAGE_MARKS = re.compile(
    rb"\x89PNG|\xff\xd8|GIF8|II[*+]|MM\0[*+]|RIFF|\0\0\0\x0cjP|\xff\x4f\xff\x51|....ftyp", re.DOTALL
)
"""What images begin with, damaged or not, in whose comments a PDF's mark means nothing."""


@dataclass(frozen=True)
class PageSource:
    """A page that can be loaded: its number, counted from 1, and its name for messages."""

    number: int
    name: str
    load: Callable[[], Image.Image]
    """Returns the page as RGB; raises `ImageError` or `DocumentError` where it is damaged."""


class Source:
    """An open document. Close it, or use it as a context.

    Attributes:
        name: Its path, or what it is called where it comes from memory.
        n_pages: How many pages it has.
    """

    def __init__(
        self,
        name: str,
        n_pages: int,
        load: Callable[[int], Image.Image],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.n_pages = n_pages
        self._load = load
        self.close = close

    def pages(self, ranges: str | None = None) -> Iterator[PageSource]:
        """Yields the pages of a range such as ``1-3,7,10-``, or all.

        Raises:
            ValueError: The range names no page of this document.
        """
        for number in select_pages(ranges, self.n_pages, self.name):
            name = self.name if self.n_pages == 1 else f"{self.name}, page {number}"
            yield PageSource(number, name, partial(self._load, number))

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(document: ImageLike, options: InputOptions | None = None) -> Source:
    """Opens a document of any kind; pages are decoded or rendered when they are loaded.

    Raises:
        FileNotFoundError: The path does not exist.
        ImageError: The data is empty, or of no kind that is known.
        PasswordError: The document is encrypted, and the password is missing or wrong.
        DocumentError: The document is damaged, or must not be fetched.
        ValueError: It is a web address, and ``allow_urls`` is off.
    """
    options = options or InputOptions()
    if isinstance(document, (Image.Image, np.ndarray)):
        return Source(source_name(document), 1, lambda number: open_image(document))
    if isinstance(document, str) and is_url(document):
        return _from_data(_fetch(document, options), document, options)
    if isinstance(document, str) and is_data_uri(document):
        return _from_data(decode_data_uri(document), source_name(document), options)
    if isinstance(document, (str, os.PathLike)):
        return _from_path(checked_path(document), options)
    if isinstance(document, (bytes, bytearray, memoryview)):
        data = bytes(document)
        return _from_data(data, "document" if is_pdf(data) else "image", options)
    name = source_name(document)
    if not hasattr(document, "read"):
        raise unknown_source(document, name)
    return _from_data(read_file(document, name), name, options)


def is_pdf(document: Path | bytes) -> bool:
    """Returns whether a file, or its bytes, is a PDF."""
    if isinstance(document, bytes):
        head = document[:_HEAD_BYTES]
    else:
        with document.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    place = head.find(b"%PDF")
    return place == 0 or (place > 0 and not _may_be_an_image(head, document))


def _may_be_an_image(head: bytes, document: Path | bytes) -> bool:
    """Returns whether a file begins as images do, or Pillow takes it for one.

    Some kinds begin like anything else.
    """
    if _IMAGE_MARKS.match(head):
        return True
    try:
        with Image.open(io.BytesIO(document) if isinstance(document, bytes) else document):
            return True
    except Exception:  # its plugins raise whatever their parser stumbles over
        return False


def expand(names: Iterable[str]) -> Iterator[str]:
    """Yields the files that names mean, in the order of names, sorted within each.

    A folder means the documents in it and below it, a pattern such as ``scans/**/*.png``
    what matches; every other name means itself, whether or not it exists.

    Raises:
        DocumentError: A folder or a pattern holds no document.
    """
    for name in names:
        if is_url(name) or is_data_uri(name) or name == "-" or os.path.isfile(name):
            yield name
        elif os.path.isdir(name):
            yield from _found(name, files_below(name), "none in this folder")
        elif glob.has_magic(name):
            matches = glob.glob(name, recursive=True)
            yield from _found(name, filter(os.path.isfile, matches), "nothing that matches")
        else:
            yield name


def _found(name: str, files: Iterable[str], found_instead: str) -> list[str]:
    found = sorted(files)
    if not found:
        raise DocumentError(
            f"[{name}] expected images or PDF files; found {found_instead}; check the path"
        )
    return found


def files_below(folder: str) -> Iterator[str]:
    """Yields the documents in a folder and below it, in the order of the disk.

    Hidden ones are left out, links to folders, which may lead in a circle, and pipes and devices,
    which may never end.
    """
    folders = [folder]
    while folders:
        with suppress(PermissionError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif Path(entry.name).suffix.lower() in SUFFIXES and _may_be_a_document(entry):
                    yield entry.path


def _may_be_a_document(entry: os.DirEntry[str]) -> bool:
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:  # a link that leads nowhere: who opens it is told
        return True


def _fetch(url: str, options: InputOptions) -> bytes:
    if not options.allow_urls:
        raise ValueError(
            f"[{url}] expected a file; found a web address, which is fetched only on request; "
            "pass allow_urls=True, or --allow-urls"
        )
    return fetch(url)


def check_there(path: Path) -> None:
    """Refuses a path at which there is nothing to open, in words that tell why.

    Raises:
        FileNotFoundError: There is nothing, or a link to nothing.
    """
    if path.exists():
        return
    found, do = "nothing there", "check the path"
    if path.is_symlink():
        found = f"a link to '{path_name(path.readlink())}', which leads nowhere"
        do = "mend the link"
    raise FileNotFoundError(f"[{path}] expected an image or a PDF file; found {found}; {do}")


def _from_path(path: Path, options: InputOptions) -> Source:
    check_there(path)
    if path.is_dir():
        open_image(path)  # raises what fits
    if not path.is_file():  # a pipe, which can be read once only
        return _from_data(read_path(path), source_name(path), options)
    if is_pdf(path):
        return _from_pdf(path, source_name(path), options)  # PDFium reads what it needs of it
    return _from_images(path.read_bytes(), source_name(path))


def _from_data(data: bytes, name: str, options: InputOptions) -> Source:
    if is_pdf(data):
        return _from_pdf(data, name, options)
    return _from_images(data, name)


def _from_pdf(source: Path | bytes, name: str, options: InputOptions) -> Source:
    pdf = PdfFile(source, name, options.password)
    return Source(name, pdf.n_pages, lambda number: pdf.render(number, options.dpi), pdf.close)


def _from_images(data: bytes, name: str) -> Source:
    promises_pdf = name.lower().endswith(".pdf")
    if promises_pdf and not _may_be_an_image(data[:_HEAD_BYTES], data):
        raise DocumentError(
            f"[{name}] expected a PDF, as its name says; found {describe_bytes(data)}; save or "
            "download it again"
        )
    frames = Frames(data, name)
    if frames.n_frames < 1:
        raise ImageError(f"[{name}] expected at least one picture; found none; check the file")
    return Source(name, frames.n_frames, lambda number: frames.load(number - 1))
