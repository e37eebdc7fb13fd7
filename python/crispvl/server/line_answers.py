"""Answers to "what does this say?" from models that read whole pages by their lines.

A small model that was trained on lines sees too little of a page that is squeezed into its tiles.
What pictures say is answered by reading them, as `crispvl.CrispOCR.recognize` does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image

from crispvl.options import ReadOptions
from crispvl.prompts.messages import ImagePart
from crispvl.reading.layout_choice import chosen_layout
from crispvl.reading.ocr import CrispOCR
from crispvl.results.document import Document
from crispvl.results.generation import Answer, FinishReason, Generation
from crispvl.results.page import PAGE_BREAK, Page
from crispvl.server.answers import Piece, WrittenAnswer
from crispvl.server.conversation import Turn
from crispvl.server.reading_prompts import preface, reading_task
from crispvl.server.sampling import check_layout
from crispvl.server.worker import Worker

if TYPE_CHECKING:
    from crispvl._core import CancelToken


@dataclass(frozen=True)
class Reading:
    """Pictures that are read instead of being shown to the model with a question.

    Attributes:
        options: With the task that the question amounts to.
        prompt: What is asked of each block; None for what the task asks.
        preface: What comes before the text.
    """

    pages: list[Image.Image]
    options: ReadOptions
    prompt: str | None
    preface: str = ""


def reading_asked(ocr: CrispOCR, turns: Sequence[Turn], options: ReadOptions) -> Reading | None:
    """Returns what is to be read for a conversation; None where the model is to answer itself.

    A model that was made for lines reads its first question's pictures by lines where it is asked
    for what they say. What else it is asked, it sees as any model does. A layout in the options
    goes before all of that.

    Args:
        ocr: Whose model is asked.
        turns: The conversation.
        options: Of the answer.

    Raises:
        ApiError: Lines cannot answer the task.
    """
    asked = [turn for turn in turns if turn["role"] != "system"]
    if len(asked) != 1 or options.layout == "page":
        return None
    parts = [part for part in asked[0]["content"] if isinstance(part, ImagePart)]
    if not parts:
        return None
    pages = [part.image for part in parts if isinstance(part.image, Image.Image)]
    prompt = "\n".join(part for part in asked[0]["content"] if isinstance(part, str)).strip()
    task = reading_task(prompt)
    if options.task == "text" and task is not None:
        options = replace(options, task=task)
    if options.layout == "blocks":
        return Reading(pages, options, prompt or None)
    if options.layout == "lines":
        check_layout(ocr.model, options, None)
        return Reading(pages, options, None)
    own = chosen_layout(ocr.model.metadata, options, None)
    if task is None or own == "page":
        return None
    return Reading(pages, options, None, preface(prompt))


@asynccontextmanager
async def write_pages(
    worker: Worker,
    ocr: CrispOCR,
    reading: Reading,
    answer: WrittenAnswer,
) -> AsyncIterator[AsyncIterator[Piece]]:
    """Reads pages one after another, while the context lasts; their texts are the answer."""
    read: list[Document] = []

    def work(cancel: CancelToken, give: Callable[[str], None]) -> None:
        for page in reading.pages:
            options = _limited(reading.options, read)
            if options is None:
                return
            if read:
                give(PAGE_BREAK)
            stream = ocr.stream(page, reading.prompt, options=options, cancel=cancel)
            try:
                for text in stream:
                    give(text)
            finally:
                stream.close()
                read.append(stream.result)

    async def pieces() -> AsyncIterator[Piece]:
        yield Piece(answer.stops.push(reading.preface))
        async for text in running:
            yield Piece(answer.stops.push(text))
            if answer.stops.found is not None:
                break
        await running.stop()
        answer.result = _answer(read, is_cut=len(read) < len(reading.pages))
        answer.layout = next((page.layout for page in read[0].pages), answer.layout)
        yield Piece(answer.stops.finish())

    async with worker.in_thread(work) as running:
        running.ended.add_done_callback(answer.on_end)
        yield pieces()


def _limited(options: ReadOptions, read: Sequence[Document]) -> ReadOptions | None:
    """Returns the options of the next page, after what was read; None if nothing more is wanted."""
    if options.max_tokens is None or not read:
        return options
    n_tokens = sum(len(page.generation.ids) for page in _pages(read) if page.generation)
    if read[-1].finish_reason == "length" or n_tokens >= options.max_tokens:
        return None
    return replace(options, max_tokens=options.max_tokens - n_tokens)


def _pages(read: Sequence[Document]) -> list[Page]:
    return [page for document in read for page in document.pages]


def _answer(read: Sequence[Document], is_cut: bool) -> Answer:
    """Returns what was read as one answer."""
    pages = _pages(read)
    generations = [page.generation for page in pages if page.generation]
    reasons: list[FinishReason] = [page.finish_reason or "stop" for page in pages]
    cut: FinishReason = next((reason for reason in reasons if reason != "stop"), "stop")
    timings = sum((document.timings for document in read[1:]), read[0].timings)
    ids = [token_id for generation in generations for token_id in generation.ids]
    logprobs = [logprob for generation in generations for logprob in generation.logprobs]
    whole = Generation(
        ids=ids,
        logprobs=logprobs,
        finish_reason="length" if is_cut else cut,
        text=PAGE_BREAK.join(document.text for document in read),
        timings=timings,
        n_prompt_tokens=sum(generation.n_prompt_tokens for generation in generations),
    )
    n_tiles = sum(document.n_tiles for document in read)
    return Answer(generation=whole, n_tiles=n_tiles, timings=timings)
