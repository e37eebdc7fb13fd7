"""Documents are read page by page; a bad page stays one; limits give what there is."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from crispvl import CrispOCR, Document
from crispvl.engine.groundedness import Groundedness
from crispvl.engine.model import Model
from crispvl.errors import Cancelled, DocumentError, ExtractionError, PasswordError
from crispvl.events import PageDone, PageStarted, TextRead, TilesEncoded
from crispvl.reading.time_limits import limited
from crispvl.results.generation import Generation, Timings
from crispvl.results.page import Page
from PIL import Image

from . import pdf_files
from .conftest import SPECIAL_IDS, FakeCancelToken, FakeModel


def inked(mark: int) -> Image.Image:
    """A page whose width in tiles tells it from others."""
    image = Image.new("L", (60, 28), 255)
    image.paste(0, (5, 8, 5 + mark, 20))
    return image


BLANK = Image.new("L", (60, 28), 255)
PDF = pdf_files.pdf([inked(4), BLANK, None, inked(8)])


class CountingModel(FakeModel):
    """Says the number of the page it is asked about, counted by prompts."""

    def next_token(self, written: list[int], sampler: Any) -> int:
        self.answer = list(f"page {self.prompt_number}".encode())
        return super().next_token(written, sampler)


@pytest.fixture
def ocr(core: FakeModel) -> CrispOCR:
    return CrispOCR(Model(CountingModel()))  # type: ignore[arg-type]


def model_of(ocr: CrispOCR) -> Any:
    return ocr.model.core


def test_a_document_holds_its_pages_in_order(ocr: CrispOCR) -> None:
    document = ocr.recognize(PDF, dpi=72)
    assert [page.number for page in document.pages] == [1, 2, 3, 4]
    assert [page.text for page in document.pages] == ["page 1", "", "", "page 2"]
    assert document.text == str(document) == "page 1\n\n\n\n\n\npage 2"
    assert "".join(ocr.stream(PDF, dpi=72)) == document.text.replace("2", "4").replace("1", "3")
    assert document.n_pages == 4
    assert document.n_tiles == 6


def test_a_blank_page_costs_no_model_work(ocr: CrispOCR) -> None:
    document = ocr.recognize(BLANK)
    assert (document.text, document.flags, document.finish_reason) == ("", ("blank",), "stop")
    assert model_of(ocr).n_encoded == 0
    assert ocr.recognize(BLANK, skip_blank=False).flags == ()
    assert ocr.recognize(BLANK, "What colour is it?").text == "page 2"
    assert ocr.recognize(BLANK, task="caption").text == "page 3"
    assert ocr.recognize(BLANK, task="table").text == ""


def test_a_page_that_fails_among_several_is_a_failed_page(ocr: CrispOCR) -> None:
    document = ocr.recognize(PDF, dpi=72)
    (failed,) = document.failed_pages
    assert failed.number == 3
    assert isinstance(failed.error, DocumentError)
    assert document.error is None
    assert document.pages[2].finish_reason is None
    record = json.loads(json.dumps(document.to_dict()))
    assert record["pages"][2]["error"]["type"] == "DocumentError"
    assert [page["flags"] for page in record["pages"]] == [[], ["blank"], [], []]
    with pytest.raises(DocumentError):
        ocr.recognize(pdf_files.pdf([None]))


def test_only_the_pages_asked_for_are_read(ocr: CrispOCR) -> None:
    document = ocr.recognize(PDF, pages="4,1", dpi=72)
    assert [page.number for page in document.pages] == [1, 4]
    assert document.n_pages == 2
    with pytest.raises(ValueError, match=r"expected pages in 1…4"):
        ocr.stream(PDF, pages="5-")
    skipping = ocr.stream(PDF, dpi=72, skip=lambda number: number < 4).read()
    assert [page.number for page in skipping.pages] == [4]


def test_a_password_opens_and_its_absence_is_told_at_once(ocr: CrispOCR) -> None:
    secret = pdf_files.pdf([BLANK], password="sesame")
    with pytest.raises(PasswordError):
        ocr.stream(secret)
    document = ocr.recognize(secret, password="sesame")
    assert "sesame" not in json.dumps(document.to_dict())


def test_events_tell_what_happens(ocr: CrispOCR) -> None:
    told: list[Any] = []
    stream = ocr.stream(PDF, dpi=72, on_event=told.append)
    events = list(stream.events())
    assert [event for event in told if not isinstance(event, TilesEncoded)] == events
    starts = [event for event in events if isinstance(event, PageStarted)]
    assert [(start.number, start.i_page, start.n_pages) for start in starts] == [
        (1, 0, 4), (2, 1, 4), (3, 2, 4), (4, 3, 4)
    ]  # fmt: skip
    assert [event.page.number for event in events if isinstance(event, PageDone)] == [1, 2, 3, 4]
    texts = [event for event in events if isinstance(event, TextRead)]
    assert "".join(event.text for event in texts if event.number == 4) == "page 2"
    assert texts[-1].n_tokens == 6
    assert TilesEncoded(number=1, n_done=3, n_tiles=3) in told


class Slow(CountingModel):
    """Takes its time where it is told to, and looks at the token as the core does."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where
        self.stopped_after_s = 0.0

    def wait(self, where: str, cancel: Any, seconds: float = 20) -> None:
        if where != self.where:
            return
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if cancel is not None and cancel.cancelled:
                raise Cancelled(f"[{where}] cancelled")
            time.sleep(0.001)

    def encode(self, tiles: Any, cancel: Any, progress: Any) -> Any:
        self.wait("encode", cancel)
        return super().encode(tiles, cancel, progress)

    def new_session(self, n_ctx: int) -> Any:
        session = super().new_session(n_ctx)
        append = session.append

        def slowly(ids: list[int], cancel: Any) -> None:
            self.wait("prefill" if len(ids) > 1 else "decode", cancel)
            append(ids, cancel)

        session.append = slowly  # type: ignore[method-assign]
        return session


@pytest.mark.parametrize(("where", "text"), [("encode", ""), ("prefill", ""), ("decode", "p")])
def test_a_page_time_limit_acts_within_the_work_and_returns_what_there_is(
    core: FakeModel, where: str, text: str
) -> None:
    ocr = CrispOCR(Model(Slow(where)))  # type: ignore[arg-type]
    started = time.monotonic()
    document = ocr.recognize(inked(4), page_time_limit=0.1)
    assert time.monotonic() - started < 10
    assert document.text == text
    assert document.finish_reason == "time_limit"
    assert document.flags == ("truncated",)


QUESTION = [
    {"role": "user", "content": [{"type": "image", "image": inked(4)}, "Which page is it?"]}
]


@pytest.mark.parametrize(
    ("where", "text", "limit"),
    [
        ("encode", "", "time_limit"),
        ("prefill", "", "page_time_limit"),
        ("decode", "p", "time_limit"),
    ],
)
def test_a_time_limit_ends_a_chat_with_what_there_is(
    core: FakeModel, where: str, text: str, limit: str
) -> None:
    ocr = CrispOCR(Model(Slow(where)))  # type: ignore[arg-type]
    started = time.monotonic()
    answer = ocr.chat(QUESTION, **{limit: 0.5})
    assert time.monotonic() - started < 10
    assert (answer.text, answer.finish_reason) == (text, "time_limit")


def test_a_chat_within_its_time_limit_is_cancelled_as_any_other(core: FakeModel) -> None:
    ocr = CrispOCR(Model(Slow("decode")))  # type: ignore[arg-type]
    cancel: Any = FakeCancelToken()
    threading.Timer(0.1, cancel.cancel).start()
    with pytest.raises(Cancelled) as caught:
        ocr.chat(QUESTION, time_limit=60, cancel=cancel)
    assert (caught.value.partial.text, caught.value.partial.finish_reason) == ("p", "cancelled")


def test_a_chat_that_is_not_read_or_done_watches_no_clock(ocr: CrispOCR) -> None:
    before = set(threading.enumerate())
    unread = ocr.chat_stream(QUESTION, time_limit=60)
    assert set(threading.enumerate()) <= before
    closed = ocr.chat_stream(QUESTION, time_limit=60)
    next(closed)
    closed.close()
    assert ocr.chat(QUESTION, time_limit=60).finish_reason == "stop"
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before
    assert unread.result.finish_reason == "cancelled"


def test_a_time_limit_ends_an_extraction_without_asking_again(core: FakeModel) -> None:
    slow = Slow("decode")
    ocr = CrispOCR(Model(slow))  # type: ignore[arg-type]
    with pytest.raises(ExtractionError, match="by the time limit"):
        ocr.extract(inked(4), {"type": "object"}, constrained=False, time_limit=0.1)
    assert len(slow.prompts) <= 1


def test_a_document_time_limit_ends_after_the_pages_that_fit(core: FakeModel) -> None:
    slow = Slow("encode")
    ocr = CrispOCR(Model(slow))  # type: ignore[arg-type]
    document = ocr.recognize(pdf_files.pdf([BLANK, inked(4), inked(8)]), time_limit=0.3)
    assert [page.number for page in document.pages] == [1, 2]
    assert document.n_pages == 3
    assert document.finish_reason == "time_limit"
    assert document.flags == ("blank", "truncated")


@pytest.mark.parametrize("where", ["encode", "prefill", "decode"])
@pytest.mark.parametrize("limit", [None, 60.0])
def test_cancel_stops_at_once_and_hands_over_what_there_is(
    core: FakeModel, where: str, limit: float | None
) -> None:
    ocr = CrispOCR(Model(Slow(where)))  # type: ignore[arg-type]
    cancel: Any = FakeCancelToken()
    threading.Timer(0.1, cancel.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled) as caught:
        ocr.recognize(pdf_files.pdf([BLANK, inked(4)]), cancel=cancel, time_limit=limit)
    assert time.monotonic() - started < 10
    assert [page.number for page in caught.value.partial.pages] == [1, 2]
    assert caught.value.partial.finish_reason == "cancelled"


def test_an_empty_answer_to_a_page_with_ink_is_flagged(core: FakeModel, page: Path) -> None:
    ocr = CrispOCR(page)
    core.answer = list(b" \n")
    pages = pdf_files.pdf([BLANK, inked(4)])
    assert [page.flags for page in ocr.recognize(pages).pages] == [("blank",), ("empty",)]
    unguarded = ocr.recognize(pages, skip_blank=False)
    assert [page.flags for page in unguarded.pages] == [(), ("empty",)]
    assert "page 2 has ink, but nothing was read" in unguarded.to_markdown()
    core.answer = list(b"x")
    assert ocr.recognize(pages).pages[1].flags == ()


def test_cancel_stops_between_pages_that_the_model_never_sees(ocr: CrispOCR) -> None:
    cancel: Any = FakeCancelToken()

    def stop(event: Any) -> None:
        if isinstance(event, PageDone) and event.page.number == 2:
            cancel.cancel()

    with pytest.raises(Cancelled) as caught:
        ocr.recognize(pdf_files.pdf([BLANK] * 5), dpi=72, cancel=cancel, on_event=stop)
    assert [page.number for page in caught.value.partial.pages] == [1, 2]
    assert caught.value.partial.finish_reason == "cancelled"


def test_a_stream_that_is_closed_says_that_pages_are_missing(ocr: CrispOCR) -> None:
    stream = ocr.stream(pdf_files.pdf([BLANK] * 3), dpi=72)
    assert next(stream) == "\n\n"
    stream.close()
    assert stream.result.finish_reason == "cancelled"
    assert stream.result.flags == ("blank", "truncated")
    assert ocr.stream(PDF, skip=lambda number: True).read().finish_reason is None


def test_a_time_limit_needs_no_thread_to_watch_it(core: FakeModel) -> None:
    token: Any = FakeCancelToken()
    assert limited(token, None) is token
    n_threads = threading.active_count()
    within = limited(token, 60)
    assert within is not None
    assert within is not token
    assert threading.active_count() == n_threads
    token.cancel()
    assert within.cancelled
    assert not within.expired


def test_async_code_reads_the_same_text(ocr: CrispOCR) -> None:
    async def read() -> tuple[str, Document]:
        chunks = [chunk async for chunk in ocr.stream(inked(4))]
        return "".join(chunks), await ocr.stream(inked(4)).aread()

    text, document = asyncio.run(read())
    assert (text, document.text) == ("page 1", "page 2")


def test_a_cancelled_task_stops_the_model(core: FakeModel) -> None:
    ocr = CrispOCR(Model(Slow("encode")))  # type: ignore[arg-type]

    async def read() -> None:
        task = asyncio.create_task(ocr.stream(inked(4)).aread())
        await asyncio.sleep(0.05)
        task.cancel()
        started = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 10

    asyncio.run(read())


def test_many_threads_may_use_one_reader(core: FakeModel) -> None:
    core.answer = list(b"the same text")
    ocr = CrispOCR(Model(core))  # type: ignore[arg-type]
    texts: list[str] = []
    threads = [
        threading.Thread(target=lambda: texts.append(ocr.recognize(inked(4)).text))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["the same text"] * 8


def test_a_reader_travels_to_another_process(core: FakeModel, page: Path) -> None:
    ocr = CrispOCR(page, threads=3, max_tiles=2)
    again = pickle.loads(pickle.dumps(ocr))
    assert core.loaded_with[:1] == (str(page),)
    assert core.loaded_with[3] == 3
    assert again.recognize(page).settings["max_tiles"] == 2
    with pytest.raises(TypeError, match="a reader made from a file"):
        pickle.dumps(CrispOCR(Model(core)))  # type: ignore[arg-type]


def generation(pieces: list[str], probabilities: list[float], **more: Any) -> Generation:
    import math

    return Generation(
        ids=list(range(len(pieces))), logprobs=[math.log(p) for p in probabilities],
        finish_reason="stop", text="".join(pieces), timings=Timings(), n_prompt_tokens=1,
        pieces=pieces, **more,
    )  # fmt: skip


def test_words_have_the_confidence_of_their_least_sure_token() -> None:
    pieces = ["To", "tal", ": ", "", "1", "2 €", "\n"]
    page = Page(number=1, generation=generation(pieces, [0.9, 0.5, 0.8, 0.7, 0.6, 0.95, 0.1]))
    words = [(word.text, word.start, round(word.confidence, 6)) for word in page.words]
    assert words == [("Total:", 0, 0.5), ("12", 7, 0.6), ("€", 10, 0.95)]
    assert all(page.text[w.start :].startswith(w.text) for w in page.words)


def test_unsure_pages_are_flagged() -> None:
    assert Page(number=1, generation=generation(["a"], [0.4])).flags == ("low_confidence",)
    assert Page(number=1, generation=generation(["a"], [0.9])).flags == ()
    assert Page(number=1, generation=generation([], [])).flags == ()


def test_results_are_frozen_and_add_up(ocr: CrispOCR) -> None:
    document = ocr.recognize(PDF, dpi=72)
    with pytest.raises(AttributeError):
        document.source = "x"  # type: ignore[misc]
    assert copy.deepcopy(document.text) == document.text
    total = sum(page.timings.total_ms for page in document.pages)
    assert document.timings.total_ms == pytest.approx(total)
    assert document.to_dict()["tokens"] == 12
    assert Document(source="a").finish_reason is None


def test_results_name_the_model_file_and_what_they_were_read_with(
    core: FakeModel, page: Path
) -> None:
    import hashlib

    record = CrispOCR(page).recognize(page, max_tokens=5, temperature=0.5).to_dict()
    digest = hashlib.sha256(page.read_bytes()).hexdigest()
    assert record["model"] == {"name": "page.png", "sha256": {"page.png": digest}}
    assert record["settings"]["max_tokens"] == 5
    assert record["settings"]["temperature"] == 0.5
    assert record["settings"]["prompt"] is None


def test_groundedness_compares_with_a_blank_image(core: FakeModel, page: Path) -> None:
    ocr = CrispOCR(page)
    assert ocr.recognize(page).pages[0].groundedness is None
    found = ocr.recognize(page, groundedness=True).pages[0].groundedness
    # The stand-in's logits are flat, so without the image each of 272 tokens is as likely.
    import math

    assert found == pytest.approx(-0.25 + math.log(272))
    assert core.n_encoded == 3 + 1  # the page once, and one white tile
    assert core.prompts[-1].count(SPECIAL_IDS["<IMG_CONTEXT>"]) == 3 * 4
    empty = Groundedness(Model(core), [1], generation([], []))  # type: ignore[arg-type]
    assert list(empty.steps) == []
    assert empty.result is None
