"""``/v1/ocr``: a document in; its text, structure or a searchable PDF out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from crispvl.results.document import Document
from crispvl.results.formats import FORMATS
from crispvl.server.errors import ApiError
from crispvl.server.events import event_stream
from crispvl.server.formats import media_type, write
from crispvl.server.limits import resources
from crispvl.server.ocr_run import DocumentRun
from crispvl.server.sampling import answer_length, check_layout, read_options
from crispvl.server.state import ServerState, server_state
from crispvl.server.uploads import Upload, read_upload
from crispvl.server.wire import ocr as wire
from crispvl.server.wire.common import ERRORS

KEPT_HEADER = "x-document-id"
"""Names a document that is kept, in whatever format it was sent."""

router = APIRouter(tags=["documents"], responses=ERRORS)

_FILE = {"type": "string", "format": "binary"}
_BODY = {
    "application/json": {"schema": wire.OcrRequest.model_json_schema()},
    "multipart/form-data": {
        "schema": {"type": "object", "required": ["file"], "properties": {"file": _FILE}}
    },
    "application/pdf": {"schema": _FILE},
    "image/*": {"schema": _FILE},
}
_HEADERS = {
    KEPT_HEADER: {
        "description": "With keep: where the document is kept, /v1/ocr/ID?format=…",
        "schema": {"type": "string"},
    }
}
_FORMATS = {
    named.media_type: {"schema": {"type": "string"}}
    for kind, named in FORMATS.items()
    if kind != "json"
}


@router.post(
    "/v1/ocr",
    response_model=wire.OcrReply,
    openapi_extra={"requestBody": {"required": True, "content": _BODY}},
    responses={200: {"headers": _HEADERS, "content": _FORMATS}},
)
async def read_document(request: Request) -> Any:
    """Reads a document; ``format`` says what comes back, ``stream`` sends events page by page."""
    state = server_state(request)
    upload = await read_upload(request, state.media)
    fields = upload.fields
    asked = fields.max_tokens
    n_tokens = None if asked is None else answer_length(asked, state.options.max_tokens)
    options = read_options(fields, fields, n_tokens)
    stack = resources(request.scope)
    model = await stack.enter_async_context(state.models.use(fields.model))
    check_layout(model.ocr.model, options, fields.prompt)
    opened = await state.decoders.open(upload.data, options, "document")
    run = DocumentRun(state, model, upload, opened, options)
    if fields.stream:
        return event_stream(run.events())
    document = await run.read()
    if fields.format == "json":
        name = run.keep()
        reply = await run.reply(name)
        response = Response(reply.model_dump_json(), media_type=media_type("json"))
    else:
        response = await _written(state, document, upload, fields.format)
        name = run.keep()
    if name is not None:
        response.headers[KEPT_HEADER] = name
    return response


@router.get("/v1/ocr/{name}", response_class=Response)
async def read_again(
    request: Request,
    name: str,
    format: wire.OutputFormat = "text",  # noqa: A002
) -> Response:
    """Gives a document that was read with ``keep`` in another format."""
    state = server_state(request)
    kept = state.kept.find(name)
    if kept is None:
        raise ApiError(
            404,
            "[id] expected a document of this server; found none, or no more; send it again",
            "not_found",
        )
    return await _written(state, kept.document, kept.upload, format)


async def _written(
    state: ServerState, document: Document, upload: Upload, kind: wire.OutputFormat
) -> Response:
    data = await write(document, kind, upload, state.pdf_writers)
    return Response(data, media_type=media_type(kind))
