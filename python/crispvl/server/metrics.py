"""``/metrics``: counters for Prometheus, of one server."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from crispvl.server.answers import WrittenAnswer
from crispvl.server.pool import ModelPool

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

router = APIRouter()


class Metrics:
    """The counters of a server.

    Args:
        models: Whose queues are counted when somebody looks.
    """

    def __init__(self, models: ModelPool) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "crispvl_requests", "Requests answered", ["path", "status"], registry=registry
        )
        self._seconds = Histogram(
            "crispvl_request_seconds", "From the head of a request to the end of its answer",
            ["path"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._cancelled = Counter(
            "crispvl_requests_cancelled", "Requests whose caller went away", registry=registry
        )
        self._prompt_tokens = Counter(
            "crispvl_prompt_tokens", "Tokens of prompts", ["model", "kind"], registry=registry
        )
        self._tokens = Counter(
            "crispvl_generated_tokens", "Tokens written", ["model"], registry=registry
        )
        self._phases = Histogram(
            "crispvl_phase_seconds", "Where the time of an answer goes", ["model", "phase"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.pages = Counter("crispvl_pages", "Pages read", ["model"], registry=registry)
        registry.register(_Queues(models))

    def count_request(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def count_cancelled(self) -> None:
        self._cancelled.inc()

    def count_answer(self, model: str, answer: WrittenAnswer) -> None:
        """Counts an answer that has ended, completely or not."""
        if not answer.has_begun:
            return
        usage, timings = answer.usage, answer.timings
        details = usage.prompt_tokens_details
        kinds = {
            "image": details.image_tokens,
            "text": usage.prompt_tokens - details.image_tokens,
            "cached": details.cached_tokens,
        }
        for kind, n_tokens in kinds.items():
            self._prompt_tokens.labels(model, kind).inc(max(n_tokens, 0))
        self._tokens.labels(model).inc(usage.completion_tokens)
        phases = {
            "queue": timings.queue_ms, "image": timings.image_ms, "encode": timings.encode_ms,
            "prefill": timings.prompt_ms - timings.encode_ms, "decode": timings.predicted_ms,
        }  # fmt: skip
        for phase, ms in phases.items():
            self._phases.labels(model, phase).observe(ms / 1000)


class _Queues(Collector):
    """What is so at the moment of asking."""

    def __init__(self, models: ModelPool) -> None:
        self._models = models

    def collect(self) -> Iterable[Metric]:
        waiting = GaugeMetricFamily("crispvl_requests_waiting", "Waiting", labels=["model"])
        running = GaugeMetricFamily("crispvl_requests_running", "Being answered", labels=["model"])
        places = GaugeMetricFamily("crispvl_places", "Answers at once at most", labels=["model"])
        for model in self._models.loaded:
            waiting.add_metric([model.name], model.admission.n_waiting)
            running.add_metric([model.name], model.admission.n_running)
            places.add_metric([model.name], model.admission.n_places)
        return [waiting, running, places]


@router.get("/metrics", tags=["operation"], response_class=Response)
async def metrics(request: Request) -> Response:
    """Counters in Prometheus' text format."""
    registry = request.app.state.server.metrics.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
