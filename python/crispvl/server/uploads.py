"""A document and what is said about it, however it comes: as JSON, in a form, or as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from crispvl.inputs.utf8 import encodable
from crispvl.server.errors import ApiError, invalid
from crispvl.server.media import Media
from crispvl.server.requests import read_json
from crispvl.server.wire.ocr import OcrFields, OcrRequest

MAX_FIELDS = 64


@dataclass(frozen=True)
class Upload:
    """A document that has come.

    Attributes:
        name: As its sender calls it; without folders.
    """

    data: bytes
    name: str
    fields: OcrFields


async def read_upload(request: Request, media: Media) -> Upload:
    """Returns the document of a request, and the fields beside it.

    Raises:
        ApiError: There is none, it cannot be had, or a field is not what it should be.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return await _from_json(request, media)
    if kind == "multipart/form-data":
        return await _from_form(request)
    if kind.startswith("image/") or kind in ("application/pdf", "application/octet-stream"):
        data = await request.body()
        if not data:
            raise ApiError(
                400, "[body] expected a document; found nothing; send one", "no_document"
            )
        return Upload(data, "document", _fields(dict(request.query_params)))
    raise ApiError(
        415,
        "[content-type] expected JSON, multipart/form-data, application/pdf, image/… or "
        "application/octet-stream; found something else; send one of these",
        "unknown_content_type",
    )


async def _from_json(request: Request, media: Media) -> Upload:
    try:
        body = OcrRequest.model_validate(read_json(await request.body()))
    except ValidationError as error:
        raise invalid(error.errors()) from error
    data = await media.load(body.document.url, "document")
    return Upload(data, "document", body)


async def _from_form(request: Request) -> Upload:
    try:
        async with request.form(max_files=1, max_fields=MAX_FIELDS) as form:
            file = form.get("file") or form.get("document")
            if not isinstance(file, UploadFile):
                raise ApiError(
                    400, "[file] expected a file in this field; found none; send one", "no_document"
                )
            data = await file.read()
            name = (file.filename or "").replace("\\", "/").rpartition("/")[2]
            given = {key: value for key, value in form.items() if isinstance(value, str)}
    except HTTPException as error:
        raise ApiError(
            400,
            f"[body] expected a form; found an error in it: {error.detail}; correct it",
            "invalid_form",
        ) from error
    except UnicodeError:  # of the charset that the form claims
        raise ApiError(
            400, "[body] expected a form in UTF-8; found another; encode it so", "invalid_form"
        ) from None
    return Upload(data, encodable(name) or "document", _fields({**request.query_params, **given}))


def _fields(given: dict[str, Any]) -> OcrFields:
    """Reads fields that are written as text; one that is left empty is not given."""
    try:
        return OcrFields.model_validate_strings(
            {key: value for key, value in given.items() if value != ""}
        )
    except ValidationError as error:
        raise invalid(error.errors()) from error
