"""What the endpoints of one server share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from fastapi import Request

from crispvl.server.conversation import ConversationBuilder
from crispvl.server.decoding import Aside, DecoderPool
from crispvl.server.kept import KeptDocuments
from crispvl.server.media import Media
from crispvl.server.metrics import Metrics
from crispvl.server.options import ServerOptions
from crispvl.server.pdf_writing import PdfWriters
from crispvl.server.pool import ModelPool
from crispvl.server.worker import Worker


@dataclass
class ServerState:
    """The parts of a running server.

    Attributes:
        is_draining: The server is shutting down, and takes nothing new.
        failure: What keeps the default model from being loaded.
    """

    options: ServerOptions
    models: ModelPool
    media: Media
    decoders: DecoderPool
    pdf_writers: PdfWriters
    worker: Worker
    metrics: Metrics
    kept: KeptDocuments
    started: int
    """Seconds since 1970."""
    is_draining: bool = False
    failure: Exception | None = None

    def conversations(self, aside: Aside) -> ConversationBuilder:
        """Returns what makes the conversation of one request.

        Args:
            aside: See `crispvl.server.decoding.Aside`.
        """
        return ConversationBuilder(self.media, self.decoders, aside)

    def end(self) -> None:
        """Stops what runs, and refuses what waits."""
        for model in self.models.loaded:
            model.admission.close()
        self.worker.stop()

    @property
    def is_ready(self) -> bool:
        """Whether a request that comes now would be answered."""
        names = [model.name for model in self.models.loaded]
        return self.models.default in names and not self.is_draining


def server_state(request: Request) -> ServerState:
    """Returns the parts of the server that a request came to."""
    return cast(ServerState, request.app.state.server)
