"""``/v1/ocr``: documents in every form, and what comes back."""

from __future__ import annotations

import json
from typing import Any

import httpx
import psutil
import pytest
from crispvl import CrispOCR
from crispvl.errors import ImageError
from crispvl.extras import Extra
from crispvl.inputs.pdf import PdfFile
from crispvl.results.document import Document
from crispvl.results.page import Page
from crispvl.server import pdf_writing
from crispvl.server.decoder import Decoder
from crispvl.server.errors import ApiError
from crispvl.server.kept import (
    BYTES_PER_DOCUMENT,
    BYTES_PER_PAGE,
    BYTES_PER_TOKEN,
    KeptDocuments,
)
from crispvl.server.pdf_writing import PdfWriters
from crispvl.server.uploads import Upload
from crispvl.server.wire.ocr import OcrFields, OcrRequest
from PIL import Image

from .conftest import EXAMPLES, data_address, encoded

PATH = "/v1/ocr"


@pytest.fixture(scope="module")
def expected(ocr: CrispOCR, receipt: bytes) -> str:
    return ocr.recognize(receipt).text


@pytest.fixture(scope="module")
def three_pages() -> bytes:
    """A TIFF of a receipt, a blank page, and a paragraph."""
    pages = [Image.open(EXAMPLES / "receipt.png").convert("RGB")]
    pages.append(Image.new("RGB", (300, 300), "white"))
    pages.append(Image.open(EXAMPLES / "paragraph.png").convert("RGB"))
    return encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])


def events(client: httpx.Client, data: bytes, **fields: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    files = {"file": ("pages.tif", data)}
    with client.stream("POST", PATH, files=files, data={"stream": "true", **fields}) as response:
        assert response.status_code == 200
        name = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            if line.startswith("data: "):
                found.append((name, json.loads(line[6:])))
    return found


def test_a_document_may_come_in_a_form_as_it_is_or_in_json(
    client: httpx.Client, receipt: bytes, expected: str
) -> None:
    address = data_address(receipt)
    responses = [
        client.post(PATH, files={"file": ("scan.png", receipt, "image/png")}),
        client.post(PATH, content=receipt, headers={"content-type": "image/png"}),
        client.post(PATH, content=receipt, headers={"content-type": "application/octet-stream"}),
        client.post(PATH, json={"document": address}),
        client.post(PATH, json={"document": {"type": "image_url", "image_url": address}}),
        client.post(PATH, json={"document": {"type": "image_url", "image_url": {"url": address}}}),
        client.post(PATH, json={"document": {"type": "document_url", "document_url": address}}),
        client.post("/ocr/", files={"document": ("scan.png", receipt)}),
    ]
    for response in responses:
        assert response.status_code == 200, response.text
        reply = response.json()
        assert reply["text"] == expected
        (page,) = reply["pages"]
        assert (page["index"], page["number"], page["text"]) == (0, 1, expected)
        assert page["dimensions"] == {"width": 300, "height": 316, "dpi": None}
        assert reply["usage_info"]["pages_processed"] == 1
    assert responses[0].json()["source"] == "scan.png"


@pytest.mark.parametrize(
    ("kind", "beginning"),
    [("text", "CORNER"), ("markdown", "CORNER"), ("html", "<!doctype"), ("jsonl", '{"source"')],
)
def test_a_document_comes_back_in_the_format_that_is_asked_for(
    client: httpx.Client, receipt: bytes, kind: str, beginning: str
) -> None:
    response = client.post(PATH, files={"file": receipt}, data={"format": kind})
    assert response.status_code == 200
    assert beginning in response.text[:30]
    again = client.post(
        PATH, params={"format": kind}, content=receipt, headers={"content-type": "image/png"}
    )
    assert again.headers["content-type"] == response.headers["content-type"]


def test_a_searchable_pdf_comes_back(client: httpx.Client, receipt: bytes) -> None:
    pytest.importorskip("ocrmypdf", reason="the extra ocrmypdf is not installed")
    response = client.post(PATH, files={"file": receipt}, data={"format": "pdf"})
    assert response.headers["content-type"] == "application/pdf"
    pdf = PdfFile(response.content, "searchable.pdf")
    try:
        assert "CORNER" in (pdf.text(1) or "")
    finally:
        pdf.close()


@pytest.mark.anyio
async def test_a_pdf_that_cannot_be_written_ends_its_own_process_alone(
    monkeypatch: pytest.MonkeyPatch, ocr: CrispOCR, receipt: bytes
) -> None:
    pytest.importorskip("ocrmypdf", reason="the extra ocrmypdf is not installed")
    document = ocr.recognize(receipt)
    writers = PdfWriters(1, 1 << 20)
    broken = Upload(b"%PDF-1.7 nothing", "x.pdf", OcrFields())
    with pytest.raises(ApiError) as caught:
        await writers.write(document, broken)
    assert caught.value.status == 422
    assert "/" not in str(caught.value)
    monkeypatch.setattr(pdf_writing, "TIME_LIMIT_S", 0.05)
    with pytest.raises(ApiError):
        await writers.write(document, Upload(receipt, "x.png", OcrFields()))
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert not [command for command in commands if "pdf_writer" in command]


def test_what_is_kept_is_bounded_by_all_that_it_takes(ocr: CrispOCR, receipt: bytes) -> None:
    document = ocr.recognize(receipt)
    n_tokens = sum(len(page.generation.ids) for page in document.pages if page.generation)
    n_bytes = BYTES_PER_DOCUMENT + BYTES_PER_PAGE + BYTES_PER_TOKEN * n_tokens + 10 + len("x")
    kept = KeptDocuments(max_bytes=2 * n_bytes)
    names = [kept.keep(document, Upload(bytes(10), "x", OcrFields())) for _ in range(3)]
    assert [kept.find(name) is not None for name in names] == [False, True, True]


def test_of_what_is_said_beside_a_document_only_its_password_is_kept() -> None:
    address = {"url": f"data:,{'x' * 1000}", "type": "y" * 1000}
    fields = OcrRequest(document=address, user="z" * 1000, password="open")
    kept = KeptDocuments()
    name = kept.keep(Document(source=""), Upload(b"", "", fields))
    found = kept.find(name)
    assert found is not None
    assert found.upload.fields == OcrFields(password="open")


def test_documents_that_hold_nothing_take_room_too() -> None:
    kept = KeptDocuments(max_bytes=1 << 20)
    nothing = Document(source="", pages=(Page(number=1),))
    names = [kept.keep(nothing, Upload(b"", "", OcrFields())) for _ in range(1000)]
    assert sum(kept.find(name) is not None for name in names) < 250
    assert kept.find(names[-1]) is not None


def test_pages_are_read_like_the_document_without_a_server(
    client: httpx.Client, ocr: CrispOCR, three_pages: bytes
) -> None:
    document = ocr.recognize(three_pages)
    reply = client.post(PATH, files={"file": three_pages}).json()
    assert [page["number"] for page in reply["pages"]] == [1, 2, 3]
    assert [page["text"] for page in reply["pages"]] == [page.text for page in document.pages]
    assert reply["pages"][1]["flags"] == ["blank"]
    some = client.post(PATH, files={"file": three_pages}, data={"pages": "2-"}).json()
    assert [page["number"] for page in some["pages"]] == [2, 3]


def test_events_tell_of_each_page_as_it_is_read(client: httpx.Client, three_pages: bytes) -> None:
    found = events(client, three_pages, preview="true")
    names = [name for name, _ in found]
    assert names[0] == "document"
    assert names[-1] == "done"
    assert found[0][1] == {"n_pages": 3, "numbers": [1, 2, 3], "model": "crispvl-nano"}
    for number in (1, 2, 3):
        own = [(name, data) for name, data in found if data.get("number") == number]
        assert own[0][0] == "started"
        assert own[0][1]["image"].startswith("data:image/")
        assert own[-1][0] == "page"
        text = "".join(data["text"] for name, data in own if name == "text")
        assert text == own[-1][1]["text"]
    assert found[-1][1]["text"] == "\n\n".join(page["text"] for page in found[-1][1]["pages"])


def test_a_document_that_is_cut_keeps_the_words_that_fit(
    client: httpx.Client, receipt: bytes, expected: str
) -> None:
    for most in ("1", "20"):
        sent = events(client, receipt, max_tokens=most)
        text = "".join(data["text"] for name, data in sent if name == "text")
        asked = {"max_tokens": most, "format": "text"}
        reply = client.post(PATH, files={"file": receipt}, data=asked)
        assert text == sent[-1][1]["text"] == reply.text
        assert text != ""
        assert expected.startswith(text)


def test_a_document_that_is_kept_can_be_had_in_other_formats(
    client: httpx.Client, receipt: bytes, expected: str
) -> None:
    reply = client.post(PATH, files={"file": receipt}, data={"keep": "true"}).json()
    assert client.get(f"{PATH}/{reply['id']}").text == expected
    markdown = client.get(f"{PATH}/{reply['id']}", params={"format": "markdown"})
    assert markdown.headers["content-type"].startswith("text/markdown")
    assert client.get(f"{PATH}/another").status_code == 404


@pytest.mark.parametrize("kind", ["json", "text", "markdown", "hocr"])
def test_a_header_tells_where_a_document_is_kept(
    client: httpx.Client, receipt: bytes, expected: str, kind: str
) -> None:
    fields = {"keep": "true", "format": kind}
    response = client.post(PATH, files={"file": receipt}, data=fields)
    name = response.headers["x-document-id"]
    assert client.get(f"{PATH}/{name}").text == expected
    assert kind != "json" or response.json()["id"] == name
    not_kept = client.post(PATH, files={"file": receipt}, data={"format": kind})
    assert "x-document-id" not in not_kept.headers


def test_a_document_without_a_table_makes_no_empty_csv(
    client: httpx.Client, receipt: bytes
) -> None:
    response = client.post(PATH, files={"file": receipt}, data={"format": "csv"})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "no_table")
    assert "x-document-id" not in response.headers
    table = (EXAMPLES / "table.png").read_bytes()
    fields = {"format": "csv", "keep": "true"}
    response = client.post(PATH, files={"file": table}, data=fields)
    assert response.status_code == 200
    assert response.text.count("\n") > 2
    again = client.get(f"{PATH}/{response.headers['x-document-id']}", params={"format": "csv"})
    assert again.text == response.text


def test_formats_of_a_document_that_is_kept_are_checked(
    client: httpx.Client, receipt: bytes
) -> None:
    reply = client.post(PATH, files={"file": receipt}, data={"keep": "true"}).json()
    assert client.get(f"{PATH}/{reply['id']}", params={"format": "doc"}).status_code == 400


@pytest.mark.parametrize(
    ("files", "data", "status"),
    [
        ({"file": b""}, {}, 400),
        ({"file": b"no picture"}, {}, 400),
        ({"file": b"%PDF-1.7 nothing"}, {}, 400),
        ({"other": b"x"}, {}, 400),
        ({"file": "receipt"}, {"pages": "9"}, 422),
        ({"file": "receipt"}, {"pages": "x"}, 400),
        ({"file": "receipt"}, {"format": "doc"}, 400),
        ({"file": "receipt"}, {"max_tiles": "many"}, 400),
        ({"file": "receipt"}, {"model": "gpt-9"}, 404),
    ],
)
def test_what_cannot_be_read_is_said(
    client: httpx.Client, receipt: bytes, files: dict[str, Any], data: dict[str, str], status: int
) -> None:
    files = {name: receipt if value == "receipt" else value for name, value in files.items()}
    response = client.post(PATH, files=files, data=data)
    assert response.status_code == status, response.text
    assert response.json()["error"]["message"]


def test_a_refusal_calls_a_pdf_a_document(client: httpx.Client, three_pages: bytes) -> None:
    blank = Image.new("RGB", (60, 60))
    pdf = encoded(blank, "PDF", save_all=True, append_images=[blank] * 2)
    for data, name in ((pdf, "document"), (three_pages, "image")):
        response = client.post(PATH, files={"file": data}, data={"pages": "9"})
        assert response.status_code == 422
        assert response.json()["error"]["message"].startswith(f"[{name}] expected pages in 1…3")


@pytest.mark.parametrize(
    ("charset", "status"), [("punycode", 400), ("undefined", 400), ("unicode_escape", 200)]
)
def test_the_charset_of_a_form_breaks_nothing(
    client: httpx.Client, receipt: bytes, charset: str, status: int
) -> None:
    head = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="\\ud800.png"\r\n\r\n'
    response = client.post(
        PATH,
        content=head + receipt + b"\r\n--XX--\r\n",
        headers={"content-type": f"multipart/form-data; boundary=XX; charset={charset}"},
    )
    assert response.status_code == status, response.text
    assert status == 400 or response.json()["source"] == "\\ud800.png"


def test_a_missing_format_is_named_without_a_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoder = Decoder(1 << 20)
    monkeypatch.setattr(Extra, "missing", ["pi_heif"])
    request = {"do": "open", "password": None, "dpi": 200, "pages": None}
    with pytest.raises(ImageError, match="found HEIC, whose package is missing") as caught:
        decoder.answer(request, b"\0\0\0\x18ftypheic" + bytes(40))
    assert "/" not in str(caught.value)


def test_a_content_type_that_is_no_document_is_a_415(client: httpx.Client) -> None:
    response = client.post(PATH, content=b"hello", headers={"content-type": "text/plain"})
    assert response.status_code == 415
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post(PATH, content=b"no form", headers=headers).status_code == 400
