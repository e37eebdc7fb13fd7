"""Server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent

from crispvl.server.errors import as_api_error

_SEND_LIMIT_S = 60.0
"""A caller that takes nothing for so long has gone."""

DONE = "[DONE]"


def event_stream(
    items: AsyncIterator[BaseModel | tuple[str, BaseModel]], end: str | None = None
) -> EventSourceResponse:
    """Returns a response that sends models as they come, each as one ``data:`` line.

    Args:
        items: Models, or pairs of an event's name and its model. An error among them is sent as
            the last, since the status is out already.
        end: What is sent in the end.
    """

    async def events() -> AsyncIterator[ServerSentEvent]:
        try:
            async for item in items:
                name, model = item if isinstance(item, tuple) else (None, item)
                yield _event(model.model_dump_json(exclude_unset=True), name)
        except Exception as error:
            yield _event(as_api_error(error).json(), "error" if end is None else None)
        if end is not None:
            yield _event(end)

    return EventSourceResponse(
        events(), sep="\n", send_timeout=_SEND_LIMIT_S, ping_message_factory=_ping
    )


def _event(data: str, name: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(data, event=name, sep="\n")


def _ping(*_: Any) -> ServerSentEvent:
    return ServerSentEvent(comment="ping", sep="\n")
