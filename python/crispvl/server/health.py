"""``/health``: whether the process lives, and whether it would answer."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from crispvl._version import __version__
from crispvl.server.state import server_state

router = APIRouter(tags=["operation"])


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Answers as long as the process does."""
    return {"status": "ok"}


@router.get("/health")
@router.get("/health/ready")
async def ready(request: Request) -> JSONResponse:
    """Answers 200 once the default model is loaded, and 503 before, and when the server ends."""
    state = server_state(request)
    if state.is_ready:
        return JSONResponse({"status": "ok"})
    status = "ending" if state.is_draining else "failed" if state.failure else "loading model"
    return JSONResponse({"status": status}, 503, {"retry-after": "2"})


@router.get("/version")
async def version() -> dict[str, str]:
    return {"version": __version__}
