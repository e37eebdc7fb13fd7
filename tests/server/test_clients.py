"""Real clients, none of them patched, at the bundled model's server."""

from __future__ import annotations

import asyncio
import base64
import collections
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from crispvl import CrispOCR
from PIL import Image

from .conftest import EXAMPLES, RunningServer, asking

RECEIPT = EXAMPLES / "receipt.png"
MODEL = "crispvl-nano"


@pytest.fixture(scope="module")
def expected(ocr: CrispOCR) -> str:
    return ocr.recognize(RECEIPT).text


@pytest.fixture
def sample() -> Path:
    """A page of more than one tile."""
    return Path(str(files("crispvl.web") / "sample.png"))


@pytest.fixture
def openai() -> Any:
    return pytest.importorskip("openai", reason="openai is not installed")


@pytest.fixture
def sdk(openai: Any, server: RunningServer) -> Any:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none")


def messages() -> list[dict[str, Any]]:
    found = asking(RECEIPT.read_bytes(), prompt="OCR")["messages"]
    assert isinstance(found, list)
    return found


def test_openai_answers_streams_and_lists(sdk: Any, expected: str) -> None:
    assert [model.id for model in sdk.models.list()] == [MODEL]
    bare = sdk.chat.completions.create(model=MODEL, messages=messages(), logprobs=True)
    assert len(bare.choices[0].logprobs.content) == bare.usage.completion_tokens
    completion = sdk.chat.completions.create(model=MODEL, messages=messages())
    assert completion.choices[0].message.content == expected
    stream = sdk.chat.completions.create(
        model=MODEL, messages=messages(), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == expected
    assert chunks[-1].usage.completion_tokens == completion.usage.completion_tokens


def test_openai_asynchronous_clients_share_the_server(
    openai: Any, server: RunningServer, expected: str
) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            asked = [
                client.chat.completions.create(model=MODEL, messages=messages()) for _ in range(6)
            ]
            return [c.choices[0].message.content for c in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == [expected] * 6


def test_openai_raises_what_fits_and_does_not_ask_again(openai: Any, server: RunningServer) -> None:
    asked: collections.Counter[str] = collections.Counter()
    transport = openai.DefaultHttpxClient(
        event_hooks={"request": [lambda request: asked.update([request.url.path])]}
    )
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", http_client=transport)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-9", messages=messages())
    broken = asking(b"no picture")["messages"]
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=MODEL, messages=broken)
    assert asked == {"/v1/chat/completions": 2}


def test_openai_is_not_told_to_repeat_work_that_took_too_long(
    openai: Any, serve: Any, receipt: bytes
) -> None:
    server = serve("--request-time-limit", "0.02")
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none")
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(
            model=MODEL, messages=messages(), temperature=1.5, max_tokens=3000,
            extra_body={"ignore_eos": True},
        )  # fmt: skip
    assert caught.value.status_code == 408
    text = httpx.get(f"{server.url}/metrics").text
    assert 'crispvl_requests_total{path="/v1/chat/completions",status="408"} 1.0' in text


def test_openai_parses_answers_of_a_schema(openai: Any, sdk: Any) -> None:
    pytest.importorskip("llguidance", reason="the extra extract is not installed")
    pydantic = pytest.importorskip("pydantic")

    class Seen(pydantic.BaseModel):
        kind: Literal["receipt", "letter"]
        is_paid: bool

    completion = sdk.chat.completions.parse(
        model=MODEL, messages=messages(), response_format=Seen, max_tokens=60
    )
    assert isinstance(completion.choices[0].message.parsed, Seen)


@pytest.mark.parametrize(
    "extra",
    [
        {"guided_regex": "[0-9]{3}-[a-c]{2}"},
        {"structured_outputs": {"regex": "[0-9]{3}-[a-c]{2}"}},
    ],
)
def test_vllm_ways_to_bind_an_answer_to_an_expression_hold(sdk: Any, extra: dict[str, Any]) -> None:
    import re

    pytest.importorskip("llguidance", reason="the extra extract is not installed")
    completion = sdk.chat.completions.create(model=MODEL, messages=messages(), extra_body=extra)
    assert re.fullmatch("[0-9]{3}-[a-c]{2}", completion.choices[0].message.content)


def test_docling_asks_for_a_page(server: RunningServer, expected: str) -> None:
    module = pytest.importorskip(
        "docling.utils.api_image_request", reason="docling-slim is not installed"
    )
    with Image.open(RECEIPT) as image:
        result = module.api_image_request(
            image=image.convert("RGBA"),
            prompt="Convert this page to markdown.",
            url=f"{server.url}/v1/chat/completions",
            timeout=60,
            model=MODEL,
        )
    assert result.error is None
    assert "Bagel" in result.text


def test_markitdown_describes_a_picture(openai: Any, sdk: Any) -> None:
    module = pytest.importorskip("markitdown", reason="markitdown is not installed")
    converter = module.MarkItDown(llm_client=sdk, llm_model=MODEL, llm_prompt="OCR")
    assert "CORNER CAFE" in converter.convert(str(RECEIPT)).text_content


def test_langchain_asks_and_streams(server: RunningServer, expected: str) -> None:
    module = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    chat = module.ChatOpenAI(model=MODEL, base_url=f"{server.url}/v1", api_key="none")
    turns = [("user", messages()[0]["content"])]
    reply = chat.invoke(turns)
    assert reply.content == expected
    assert reply.usage_metadata["input_tokens"] > 64
    assert "".join(chunk.content for chunk in chat.stream(turns)) == expected


def test_mineru_extracts_text(server: RunningServer) -> None:
    module = pytest.importorskip("mineru_vl_utils", reason="mineru-vl-utils is not installed")
    client = module.MinerUClient(backend="http-client", server_url=server.url)
    with Image.open(RECEIPT) as image:
        text = client.content_extract(image.convert("RGB"))
    assert "Bagel" in text


def test_marker_asks_for_an_answer_of_a_schema(server: RunningServer) -> None:
    module = pytest.importorskip("marker.services.openai", reason="marker-pdf is not installed")
    pydantic = pytest.importorskip("pydantic")
    pytest.importorskip("llguidance", reason="the extra extract is not installed")

    class Verdict(pydantic.BaseModel):
        is_table: bool

    service = module.OpenAIService(
        {
            "openai_base_url": f"{server.url}/v1",
            "openai_model": MODEL,
            "openai_api_key": "none",
            "timeout": 60,
        }
    )
    with Image.open(RECEIPT) as image:
        answer = service("Is it a table?", image.convert("RGB"), None, Verdict)
    assert set(answer) == {"is_table"}


def test_olmocr_reads_a_pdf(server: RunningServer, tmp_path: Path, sample: Path) -> None:
    pytest.importorskip("olmocr", reason="olmocr is not installed")
    if shutil.which("pdftoppm") is None:
        pytest.skip("olmocr needs poppler-utils")
    with Image.open(sample) as image:
        image.convert("RGB").save(tmp_path / "page.pdf", resolution=110)
    command = [
        sys.executable, "-m", "olmocr.pipeline", "work", "--server", f"{server.url}/v1",
        "--model", MODEL, "--pdfs", "page.pdf", "--markdown", "--max_page_retries", "1",
    ]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    (markdown,) = (tmp_path / "work" / "markdown").rglob("*.md")
    assert "Harbour Museum" in markdown.read_text("utf-8")


def test_paddlex_asks_as_it_asks_vllm(server: RunningServer, sample: Path) -> None:
    module = pytest.importorskip(
        "paddlex.inference.models.common.genai", reason="paddlex is not installed"
    )
    client = module.GenAIClient("vllm-server", f"{server.url}/v1")
    completion = client.create_chat_completion(
        asking(sample.read_bytes(), prompt="OCR:")["messages"],
        temperature=0,
        max_completion_tokens=2048,
        extra_body={"mm_processor_kwargs": {"min_pixels": 112896}, "skip_special_tokens": True},
    )
    assert "Harbour Museum" in completion.choices[0].message.content


def test_curl_like_callers_need_no_library(server: RunningServer, expected: str) -> None:
    address = "data:image/png;base64," + base64.b64encode(Path(RECEIPT).read_bytes()).decode()
    body = {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": address}]}]
    }
    reply = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
    assert reply.status_code == 200
