"""The server on Ray Serve: replicas come and go with the number of requests that wait.

    pip install 'crispvl[server]' 'ray[serve]'
    python examples/ray_serve.py                    # the bundled model in one to four replicas
    python examples/ray_serve.py -m model.gguf --most 16 --cpus 4

Without a cluster to connect to (``RAY_ADDRESS``), Ray starts one on this machine. On a cluster
every machine must reach the model's file by the same name. Documents are kept by one replica only:
ask for other formats of a document (``GET /v1/ocr/ID``) only if there is a single replica.
"""

from __future__ import annotations

import argparse

from fastapi import FastAPI
from ray import serve

REQUESTS_PER_REPLICA = 4
"""Running and waiting ones; beyond it another replica starts. A replica answers them together."""


def build(
    models: list[str],
    *,
    least: int = 1,
    most: int = 4,
    cpus: int = 1,
    gpus: float = 0.0,
    patience: float = 10.0,
) -> serve.Application:
    """Returns the application; each replica is a whole server with a model of its own.

    Args:
        models: As ``crispvl serve -m`` takes them; none is the bundled model.
        least: Replicas that always run.
        most: Replicas under load, as far as the cluster has room.
        cpus: Threads of each.
        gpus: Of each.
        patience: Seconds of load before a replica starts; it ends after thirty times as many
            without.
    """

    def new_server() -> FastAPI:
        from crispvl.options import LoadOptions
        from crispvl.server.app import create_app
        from crispvl.server.options import ServerOptions
        from crispvl.server.pool import parse_sources

        return create_app(ServerOptions(), parse_sources(models), LoadOptions(threads=cpus))

    return serve.deployment(
        serve.ingress(new_server)(),
        name="crispvl",
        ray_actor_options={"num_cpus": cpus, "num_gpus": gpus},
        max_ongoing_requests=8 * REQUESTS_PER_REPLICA,
        autoscaling_config={
            "min_replicas": least,
            "max_replicas": most,
            "target_ongoing_requests": REQUESTS_PER_REPLICA,
            "upscale_delay_s": patience,
            "downscale_delay_s": 30 * patience,
            "metrics_interval_s": min(10.0, patience),
            "look_back_period_s": min(30.0, 3 * patience),
        },
    ).bind()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serves models on Ray Serve.")
    parser.add_argument("-m", "--model", action="append", default=[], metavar="[NAME=]FILE")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--least", type=int, default=1, help="replicas that always run")
    parser.add_argument("--most", type=int, default=4, help="replicas under load")
    parser.add_argument("--cpus", type=int, default=1, help="of a replica")
    parser.add_argument("--gpus", type=float, default=0.0, help="of a replica")
    options = parser.parse_args()
    serve.start(http_options={"host": options.host, "port": options.port})
    application = build(
        options.model, least=options.least, most=options.most, cpus=options.cpus, gpus=options.gpus
    )
    serve.run(application, name="crispvl", blocking=True)


if __name__ == "__main__":
    main()
