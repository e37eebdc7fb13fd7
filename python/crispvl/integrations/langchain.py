"""A document loader for LangChain: pages or their blocks as documents, with their places.

    from crispvl.integrations.langchain import CrispVLLoader

    documents = CrispVLLoader("scans", split="block").load()

A block's box says where on its page an answer comes from.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any, Literal

from crispvl.extras import need_all

need_all("langchain", "langchain")
from langchain_core.document_loaders import BaseLoader  # noqa: E402
from langchain_core.documents import Document  # noqa: E402

from crispvl.inputs.sources import expand  # noqa: E402
from crispvl.reading.ocr import CrispOCR  # noqa: E402
from crispvl.results.page import Page  # noqa: E402

Name = str | os.PathLike[str]


class CrispVLLoader(BaseLoader):
    """Reads images, PDF files and folders.

    Args:
        files: One name, or several; a folder stands for the documents in it.
        ocr: The reader; without it the bundled model is loaded for the time of each load.
        split: ``page`` makes a document of each page, ``block`` of each paragraph, heading or table
            of the pages that were read by lines, and of the others as they are.
        **arguments: Of `CrispOCR.recognize`, such as ``pages="1-3"`` and ``task="markdown"``.

    A document's metadata holds its ``source``, the ``page`` counted from 1, and the ``confidence``
    from 0 to 1; of a block also its ``kind`` and ``box``: left, top, right, bottom in px. Blank
    pages make no document.
    """

    def __init__(
        self,
        files: Name | Iterable[Name],
        ocr: CrispOCR | None = None,
        *,
        split: Literal["page", "block"] = "page",
        **arguments: Any,
    ) -> None:
        if split not in ("page", "block"):
            raise ValueError(f"[split] expected page or block; found {split!r}; change it")
        names = [files] if isinstance(files, (str, os.PathLike)) else list(files)
        self._files = [os.fspath(name) for name in names]
        self._ocr = ocr
        self._split = split
        self._arguments = arguments

    def lazy_load(self) -> Iterator[Document]:
        """Yields documents as their pages are read.

        Raises:
            CrispVLError, OSError: A file or a page of it cannot be read.
        """
        with ExitStack() as stack:
            ocr = self._ocr or stack.enter_context(CrispOCR())
            for document in ocr.recognize_many(expand(self._files), **self._arguments):
                for error in (document.error, *(page.error for page in document.pages)):
                    if error is not None:
                        raise error
                for page in document.pages:
                    yield from self._parts(document.source, page)

    def _parts(self, source: str, page: Page) -> Iterator[Document]:
        place = {"source": source, "page": page.number}
        if self._split == "page" or not page.blocks:
            if page.text.strip():
                yield Document(page.text, metadata={**place, "confidence": page.confidence})
            return
        for i_block, block in enumerate(page.blocks):
            lines = [line for line in page.lines if line.block == i_block]
            if lines:
                yield Document(
                    "\n".join(line.text for line in lines),
                    metadata={
                        **place,
                        "confidence": min(line.confidence for line in lines),
                        "kind": block.kind,
                        "box": list(block.box),
                    },
                )
