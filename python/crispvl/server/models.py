"""``/v1/models``: which models this server has."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request

from crispvl.options import Layout, ReadOptions
from crispvl.reading.layout_choice import chosen_layout
from crispvl.server.errors import ApiError
from crispvl.server.state import ServerState, server_state
from crispvl.server.wire.common import ErrorReply, Reply

router = APIRouter(tags=["models"])


class ModelCard(Reply):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "crispvl"
    max_model_len: int | None = None
    """Tokens of the context; None while the model is not loaded."""
    layout: Layout | None = None
    """How the model reads pages unless a request says otherwise; None while it is not loaded."""


class ModelList(Reply):
    object: Literal["list"] = "list"
    data: list[ModelCard]


@router.get("/v1/models")
async def list_models(request: Request) -> ModelList:
    """Lists the models, the default first."""
    state = server_state(request)
    return ModelList(data=[_card(state, name) for name in state.models.names])


@router.get("/v1/models/{name:path}", responses={404: {"model": ErrorReply}})
async def show_model(request: Request, name: str) -> ModelCard:
    """Describes one model."""
    state = server_state(request)
    if name not in state.models.names:
        raise ApiError(
            404,
            "[model] expected a model of this server; found another name; see /v1/models",
            "model_not_found",
        )
    return _card(state, name)


def _card(state: ServerState, name: str) -> ModelCard:
    loaded = {model.name: model for model in state.models.loaded}
    card = ModelCard(id=name, created=state.started)
    if name in loaded:
        model = loaded[name].ocr.model
        card.max_model_len = model.config.decoder.context_length
        card.layout = chosen_layout(model.metadata, ReadOptions(), None)
    return card
