"""The process behind `Grpc`: the health service of grpcio-health-checking, and one that fails on request."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

Status = health_pb2.HealthCheckResponse
STATES = {"": Status.SERVING, "up.Service": Status.SERVING, "down.Service": Status.NOT_SERVING, "odd.Service": 0}
# Services whose calls end with a code.
CODES = {
    "unavailable.Service": grpc.StatusCode.UNAVAILABLE,
    "exhausted.Service": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "forbidden.Service": grpc.StatusCode.PERMISSION_DENIED,
}


class Health(health.HealthServicer):  # type: ignore[misc]
    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.service in CODES:
            context.abort(CODES[request.service], "secret-of-the-server")
        if request.service == "deadline.Service":
            # What the client has sent as its deadline: `deadline.Service` is well where that is at most 3 s away.
            remaining = context.time_remaining()
            serving = remaining is not None and 0 < remaining <= 3
            return Status(status=Status.SERVING if serving else Status.NOT_SERVING)
        return super().Check(request, context)


class Protected(grpc.ServerInterceptor):  # type: ignore[misc]
    """Refuses calls without the token."""

    def __init__(self, token: str) -> None:
        self.token = token

    def intercept_service(self, continuation: Callable[..., Any], details: grpc.HandlerCallDetails) -> Any:
        if dict(details.invocation_metadata).get("authorization") == self.token:
            return continuation(details)

        def refuse(_: Any, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "secret-of-the-server")

        return grpc.unary_unary_rpc_method_handler(refuse)


def main(options: dict[str, Any]) -> None:
    interceptors = [Protected(options["token"])] if options["token"] else []
    # Without it two servers may listen at one port, and the test would not notice that it is taken.
    server = grpc.server(ThreadPoolExecutor(4), interceptors=interceptors, options=[("grpc.so_reuseport", 0)])
    if options["has_health"]:
        servicer = Health()
        for name, status in STATES.items():
            servicer.set(name, status)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if "certificate" in options:
        pair = (Path(options["key"]).read_bytes(), Path(options["certificate"]).read_bytes())
        server.add_secure_port(options["address"], grpc.ssl_server_credentials([pair]))
    else:
        server.add_insecure_port(options["address"])
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
