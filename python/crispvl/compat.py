"""CrispEmbed's reader under its own name, for programs that move over one import at a time.

from crispvl.compat import CrispMathOcr

text = CrispMathOcr("model.gguf").recognize("page.png")
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from crispvl.inputs.images import ImageLike
from crispvl.reading.ocr import CrispOCR
from crispvl.results.document import Document


class CrispMathOcr:
    """Reads images with one model; new programs use `crispvl.CrispOCR`, which tells more.

    Args:
        model_path: A GGUF file, ours or CrispEmbed's.
        n_threads: CPU threads.
        lib_path: Not looked at: crispvl brings its library with it.

    Raises:
        RuntimeError: The model cannot be loaded; the cause is chained.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        n_threads: int = 4,
        lib_path: str | None = None,
    ) -> None:
        try:
            self._ocr = CrispOCR(model_path, threads=n_threads)
        except (OSError, ValueError, RuntimeError) as error:
            raise RuntimeError(f"Failed to load OCR model: {model_path}") from error
        self._newest: Document | None = None

    def recognize(self, image: ImageLike) -> str:
        """Returns the text of an image: a path, a PIL image or a uint8 array ``[h, w(, c)]``."""
        self._newest = self._ocr.recognize(image, layout="page")  # as its own engine reads
        return self._newest.text

    def recognize_gray(self, pixels: NDArray[np.float32]) -> str:
        """Returns the text of a grey image ``[height, width]`` of floats from 0 to 1."""
        grey = np.nan_to_num(np.asarray(pixels, np.float32)).clip(0, 1)
        return self.recognize(np.floor(255 * grey + 0.5).astype(np.uint8))

    def confidences(self) -> NDArray[np.float32]:
        """Returns the probability of each token of the newest text; empty before one."""
        pages = self._newest.pages if self._newest else ()
        generations = (page.generation for page in pages if page.generation)
        logprobs = [value for generation in generations for value in generation.logprobs]
        return np.exp(np.asarray(logprobs, np.float32))

    @property
    def mean_confidence(self) -> float:
        """Mean of `confidences`, 0 where there is none."""
        values = self.confidences()
        return float(values.mean()) if len(values) else 0.0
