"""Several pages at a time: who shares a pass, who waits for what, and what a failure leaves."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from crispvl import CrispOCR
from crispvl.cli import main
from crispvl.engine.model import Model
from crispvl.errors import Cancelled, DocumentError, OutOfMemoryError
from crispvl.events import DocumentDone, PageDone, PageStarted, TextRead
from crispvl.options import ReadOptions
from crispvl.reading.stream_count import MAX_STREAMS, stream_count
from PIL import Image

from . import pdf_files
from .conftest import FakeCancelToken, FakeModel, FakeSession


def inked(mark: int = 4) -> Image.Image:
    image = Image.new("L", (60, 28), 255)
    image.paste(0, (5, 8, 5 + mark, 20))
    return image


class Telling(FakeModel):
    """Writes down the order of its work: ``E``, ``P``, or how many sequences decode together."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = list(b"Twenty letters and so")
        self.log: list[str | int] = []

    def encode(self, tiles: Any, cancel: Any, progress: Any) -> Any:
        self.log.append("E")
        return super().encode(tiles, cancel, progress)

    def new_session(self, n_ctx: int) -> FakeSession:
        session = super().new_session(n_ctx)
        prefill = session.prefill

        def tell(ids: list[int], embeddings: Any, cancel: Any) -> None:
            self.log.append("P")
            prefill(ids, embeddings, cancel)

        session.prefill = tell  # type: ignore[method-assign]
        return session


@pytest.fixture
def telling(core: FakeModel, monkeypatch: pytest.MonkeyPatch) -> Telling:
    import crispvl._core

    model = Telling()
    decode: Callable[..., None] = crispvl._core.Session.decode_batch

    def decode_batch(sessions: list[Any], ids: Any, cancels: Any) -> None:
        model.log.append(len(sessions))
        decode(sessions, ids, cancels)

    monkeypatch.setattr(crispvl._core.Session, "decode_batch", decode_batch)
    return model


@pytest.fixture
def ocr(telling: Telling) -> CrispOCR:
    return CrispOCR(Model(telling))  # type: ignore[arg-type]


def batches(telling: Telling) -> list[int]:
    return [entry for entry in telling.log if isinstance(entry, int)]


def test_pages_are_written_together(ocr: CrispOCR, telling: Telling) -> None:
    results = list(ocr.recognize_many([inked()] * 6, streams=4))
    assert [result.text for result in results] == ["Twenty letters and so"] * 6
    assert max(batches(telling)) == 4
    assert len(batches(telling)) < 6 * 21 / 2
    telling.log.clear()
    assert len(ocr.recognize(pdf_files.pdf([inked()] * 3), dpi=72, streams=3).pages) == 3
    assert max(batches(telling)) == 3
    telling.log.clear()
    list(ocr.recognize_many([inked()] * 3, streams=1))
    assert set(batches(telling)) == {1}


def test_a_page_that_is_written_waits_for_one_slice_at_most(
    ocr: CrispOCR, telling: Telling
) -> None:
    telling.tiles_per_graph = 1
    list(ocr.recognize_many([inked(4 + i) for i in range(4)], streams=4))
    first = telling.log.index(1)
    last = max(i for i, entry in enumerate(telling.log) if entry == "P")
    between = telling.log[first:last]
    assert between.count("E") == 6  # three pages of two tiles; the white third is the first page's
    assert all(isinstance(a, int) or isinstance(b, int) for a, b in pairwise(between))


def test_pages_are_made_ready_one_at_a_time_and_documents_opened_no_earlier(
    ocr: CrispOCR,
) -> None:
    asked: list[int] = []

    def documents() -> Iterator[Image.Image]:
        for i in range(40):
            asked.append(i)
            yield inked()

    results = ocr.recognize_many(documents(), streams=2)
    next(results)
    assert len(asked) <= 4
    results.close()  # type: ignore[attr-defined]
    assert len(asked) <= 4


def test_a_slow_page_does_not_let_others_pile_up(ocr: CrispOCR, telling: Telling) -> None:
    answer = telling.answer

    def next_token(written: list[int], sampler: Any) -> int:
        telling.answer = answer * 19 if telling.prompt_number == 1 else answer[:1]
        return FakeModel.next_token(telling, written, sampler)

    telling.next_token = next_token  # type: ignore[method-assign]
    asked: list[int] = []

    def documents() -> Iterator[Image.Image]:
        for i in range(100):
            asked.append(i)
            yield inked()

    results = ocr.recognize_many(documents(), streams=2, repair_loops=False)
    assert len(next(results).text) == 19 * 21
    assert len(asked) <= 10
    assert [len(result.text) for result in results] == [1] * 99


def test_events_come_document_after_document(ocr: CrispOCR) -> None:
    book = pdf_files.pdf([inked(), None, inked()])
    told = list(ocr.stream_many([book, b"broken", inked()], dpi=72, streams=8))
    assert [i for i, _ in told] == sorted(i for i, _ in told)
    done = [event.document for _, event in told if isinstance(event, DocumentDone)]
    assert [document.n_pages for document in done] == [3, 0, 1]
    assert [len(document.failed_pages) for document in done] == [1, 0, 0]
    assert done[1].error is not None
    pages = [event.page.number for i, event in told if i == 0 and isinstance(event, PageDone)]
    assert pages == [1, 2, 3]
    text = "".join(event.text for i, event in told if i == 2 and isinstance(event, TextRead))
    assert text == done[2].text == "Twenty letters and so"
    assert sum(isinstance(event, PageStarted) for _, event in told) == 4


def test_a_page_without_memory_fails_and_the_others_go_on(ocr: CrispOCR, telling: Telling) -> None:
    new_session = telling.new_session

    def failing(n_ctx: int) -> FakeSession:
        session = new_session(n_ctx)
        if len(telling.prompts) == 1:
            append = session.append

            def fail(ids: list[int], cancel: Any) -> None:
                if session.n_past > session.n_prompt + 3:
                    raise OutOfMemoryError("[engine] no memory")
                append(ids, cancel)

            session.append = fail  # type: ignore[method-assign]
        return session

    telling.new_session = failing  # type: ignore[method-assign]
    document = ocr.recognize(pdf_files.pdf([inked()] * 3), dpi=72, streams=3)
    assert [type(page.error) for page in document.pages] == [
        type(None), OutOfMemoryError, type(None)
    ]  # fmt: skip
    assert document.pages[0].text == document.pages[2].text == "Twenty letters and so"
    many = list(ocr.recognize_many([inked(), b"broken", inked()], streams=3))
    assert [result.error is None for result in many] == [True, False, True]


def test_the_error_of_a_page_holds_none_of_its_memory(
    ocr: CrispOCR, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Any]] = []

    class Pixels:
        pass

    def fail(*arguments: Any) -> Any:
        pixels = Pixels()
        made.append(weakref.ref(pixels))
        raise MemoryError

    monkeypatch.setattr("crispvl.inputs.sources.open_image", fail)
    monkeypatch.setattr("crispvl.inputs.pdf.PdfFile.render", fail)
    kept = list(ocr.recognize_many([inked(), pdf_files.pdf([inked()] * 2)]))
    errors = [kept[0].error, *(page.error for page in kept[1].pages)]
    assert [type(error) for error in errors] == [OutOfMemoryError] * 3
    assert [pixels() for pixels in made] == [None] * 3


def test_a_page_out_of_time_leaves_the_others_theirs(ocr: CrispOCR, telling: Telling) -> None:
    import crispvl._core

    limits: list[FakeCancelToken] = []

    class Token(FakeCancelToken):
        def __init__(self, parent: Any = None, limit_s: float | None = None) -> None:
            super().__init__(parent, limit_s)
            if limit_s is not None:
                limits.append(self)

    def next_token(written: list[int], sampler: Any) -> int:
        if telling.prompt_number == 2 and len(written) == 5:
            limits[1].is_late = True
        return FakeModel.next_token(telling, written, sampler)

    telling.next_token = next_token  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crispvl._core, "CancelToken", Token)
        book = pdf_files.pdf([inked()] * 3)
        document = ocr.recognize(book, dpi=72, streams=3, page_time_limit=1000)
    assert [page.finish_reason for page in document.pages] == ["stop", "time_limit", "stop"]
    assert document.pages[1].text == "Twenty"


def test_cancelling_hands_over_every_page_under_way(ocr: CrispOCR) -> None:
    cancel: Any = FakeCancelToken()
    seen: list[str] = []

    def stop(event: Any) -> None:
        if isinstance(event, TextRead):
            seen.append(event.text)
            if len(seen) == 15:
                cancel.cancel()

    with pytest.raises(Cancelled) as caught:
        ocr.recognize(pdf_files.pdf([inked()] * 3), dpi=72, streams=3, cancel=cancel, on_event=stop)
    pages = caught.value.partial.pages
    assert [page.number for page in pages] == [1, 2, 3]
    assert pages[0].text.startswith("Twenty letters ")
    assert len(pages[1].text) > 0


def test_time_is_counted_once(ocr: CrispOCR, telling: Telling) -> None:
    import time

    started = time.perf_counter()
    results = list(ocr.recognize_many([inked()] * 6, streams=4))
    elapsed_ms = 1000 * (time.perf_counter() - started)
    assert sum(result.timings.total_ms for result in results) <= elapsed_ms


def test_a_run_that_is_interrupted_with_pages_under_way_loses_none(
    telling: Telling, core: FakeModel, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, out = tmp_path / "book.pdf", tmp_path / "out.jsonl"
    book.write_bytes(pdf_files.pdf([inked()] * 12))
    job = ["recognize", "-m", str(page), "--dpi", "72", str(book), "--streams", "3"]
    job += ["--format", "jsonl", "-o", str(out), "--resume"]
    answer = core.next_token

    def interrupt(written: list[int], sampler: Any) -> int:
        if core.prompt_number == 7 and len(written) == 2:
            raise KeyboardInterrupt
        return answer(written, sampler)

    with monkeypatch.context() as patch:
        patch.setattr(core, "next_token", interrupt)
        assert main(job) == 130
    n_read = len(out.read_text().splitlines())
    assert 4 <= n_read <= 6
    n_before = len(core.prompts)
    assert main(job) == 0
    assert len(core.prompts) - n_before == 12 - n_read
    numbers = [json.loads(line)["number"] for line in out.read_text().splitlines()]
    assert numbers == list(range(1, 13))


def test_files_in_a_folder_are_read_together_into_a_file_each(
    telling: Telling, core: FakeModel, page: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    files = [tmp_path / f"{name}.png" for name in "abcd"]
    for file in files[:3]:
        file.write_bytes(page.read_bytes())
    job = ["recognize", "-m", str(page), *map(str, files), "-o", str(out), "--streams", "4"]
    assert main(job) == 1  # the last is missing
    assert max(batches(telling)) == 3
    assert {file.name: file.read_text() for file in out.glob("[!.]*")} == {
        f"{name}.txt": "Hello\n" for name in "abc"
    }
    for form in ("jsonl", "json", "html", "csv"):
        for file in out.iterdir():
            file.unlink()
        assert main([*job, "--format", form]) == 1
        written = list(out.glob("[!.]*"))
        assert len(written) <= 4
        assert form == "csv" or len(written) >= 3  # the stand-in for a model writes no table


def test_streams_are_as_many_as_memory_has_room_for(
    model: Model, core: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(free: int | None, **settings: Any) -> int:
        monkeypatch.setattr("crispvl.engine.kv_memory.available_bytes", lambda: free)
        return stream_count(model, ReadOptions(**settings))

    a_page = core.kv_bytes * core.config["decoder"]["context_length"]
    assert found(None) == MAX_STREAMS
    assert found(4 * 3 * a_page) == 3
    assert found(0) == 1
    assert found(0, streams=5) == 5
    assert found(4 * 3 * a_page, max_tiles=1, max_tokens=10) > 3
    core.config["image"]["position_step"] = 1 / 2  # twice as many tokens fit the context
    assert found(4 * 6 * a_page) == 3
    with pytest.raises(ValueError, match="streams"):
        ReadOptions(streams=0)


def test_a_document_that_cannot_be_opened_is_no_reason_to_stop(ocr: CrispOCR) -> None:
    results = list(ocr.recognize_many([b"%PDF-1.4 nothing", inked()]))
    assert isinstance(results[0].error, DocumentError)
    assert results[1].text == "Twenty letters and so"


def test_a_page_asked_about_again_is_not_encoded_again(ocr: CrispOCR, telling: Telling) -> None:
    ocr.recognize(inked())
    n_first = telling.prefilled[-1]
    ocr.recognize(inked(), "What is the total?")
    assert telling.log.count("E") == 1
    assert telling.prefilled[-1] < n_first - 3 * 4  # the question, not the image
    ocr.recognize(inked(9))
    ocr.recognize(inked())
    assert telling.log.count("E") == 2
    assert telling.prefilled[-1] == n_first  # what pages have in common is computed for each
    assert telling.prompts[-1] == telling.prompts[0]


def test_a_page_cut_otherwise_is_another_image(ocr: CrispOCR, telling: Telling) -> None:
    ocr.recognize(inked())
    ocr.recognize(inked(), max_tiles=1)
    assert telling.log.count("E") == 1  # its tile was the other's thumbnail
    assert telling.prefilled[-1] == len(telling.prompts[-1])


def test_images_are_kept_within_their_bytes_and_not_at_all_without(telling: Telling) -> None:
    a_page = 3 * 4 * 8 * 4  # tiles, tokens, width, bytes of a float
    ocr = CrispOCR(Model(telling), image_cache_bytes=2 * a_page)  # type: ignore[arg-type]
    for mark in (1, 2, 3, 3, 2, 1):
        ocr.recognize(inked(4 + mark))
    assert telling.log.count("E") == 4
    telling.log.clear()
    without = CrispOCR(Model(telling), image_cache_bytes=0)  # type: ignore[arg-type]
    without.recognize(inked())
    without.recognize(inked())
    assert telling.log.count("E") == telling.log.count("P") == 2
    assert telling.prefilled[-1] == telling.prefilled[-2]
