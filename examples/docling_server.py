"""Documents to Markdown by docling, with crispvl reading the pages.

    pip install 'crispvl[server]' docling
    crispvl serve
    python examples/docling_server.py scan.pdf

The server has an OpenAI-compatible API at 127.0.0.1:8000.
"""

from __future__ import annotations

import argparse

from docling.datamodel.base_models import InputFormat
from docling.datamodel.pipeline_options import VlmPipelineOptions
from docling.datamodel.pipeline_options_vlm_model import ApiVlmOptions, ResponseFormat
from docling.document_converter import DocumentConverter, ImageFormatOption, PdfFormatOption
from docling.pipeline.vlm_pipeline import VlmPipeline


def converter(url: str) -> DocumentConverter:
    """Returns a converter of docling's whose pages are read by the server at an address."""
    options = VlmPipelineOptions(
        enable_remote_services=True,
        vlm_options=ApiVlmOptions(
            url=f"{url}/v1/chat/completions",
            prompt="Convert this page to markdown.",
            response_format=ResponseFormat.MARKDOWN,
            timeout=600,
            concurrency=4,  # the server reads them together
        ),
    )
    pdf = PdfFormatOption(pipeline_cls=VlmPipeline, pipeline_options=options)
    image = ImageFormatOption(pipeline_cls=VlmPipeline, pipeline_options=options)
    return DocumentConverter(format_options={InputFormat.PDF: pdf, InputFormat.IMAGE: image})


def main() -> None:
    parser = argparse.ArgumentParser(description="Converts documents to Markdown with docling.")
    parser.add_argument("files", nargs="+", help="images and PDF files")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of crispvl serve")
    options = parser.parse_args()
    for result in converter(options.url).convert_all(options.files):
        print(result.document.export_to_markdown())


if __name__ == "__main__":
    main()
