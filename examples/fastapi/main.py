"""A FastAPI application with its probes at /probes/, and at a port of their own.

pip install lifesigns fastapi uvicorn
uvicorn main:app

REDIS_URL: what it needs to be ready; LIFESIGNS_TOKEN: who sends it sees details and metrics; PROBES: the address of
the native probe server, which also answers while the event loop is stuck.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import lifesigns
from lifesigns.specs import Disk, Redis

TOKENS = [token] if (token := os.environ.get("LIFESIGNS_TOKEN")) else []
PROBES = os.environ.get("PROBES", "127.0.0.1:9464")

engine = lifesigns.Engine(share="host", application="fastapi-example")
engine.register("redis", Redis(url=os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")), timeout=1)
engine.register("disk", Disk(paths=["/"]), critical=False)


@lifesigns.check("stock", critical=False, timeout=2)
async def stock() -> str:
    """Return the message of a healthy result; a check of one's own may wait for whatever it likes."""
    return "3 of 3 shelves are filled"


engine.register_declared()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Serve probes as long as the application lives; all workers of a host share the address."""
    server = lifesigns.serve(PROBES, engine, tokens=TOKENS)
    yield
    server.close()


app = FastAPI(lifespan=lifespan)
app.mount("/probes", lifesigns.asgi(engine, tokens=TOKENS))
# From SIGTERM on `/ready` is 503, while the last requests are answered.
lifesigns.drain_on_sigterm()


@app.get("/")
async def index() -> dict[str, str]:
    """Return what the application is there for."""
    return {"shop": "open"}
