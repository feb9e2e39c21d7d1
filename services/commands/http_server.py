"""HTTP on a socket that was bound first, so that a port in use is known before anything starts."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from services.failures import PortInUse, Refusal

FINISH_S = 4
"""Seconds that requests may take to end once the server shall stop."""


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free.

    Raises:
        PortInUse: somebody else listens there.
        Refusal: the address is not ours to listen on.
    """
    try:
        listening = socket.create_server((host, port), backlog=512, family=_family(host))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"port {port} of {host} is in use: choose another with --port or LOYALTY_HTTP_PORT"
            ) from error
        raise Refusal(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    # Connections inherit it. asyncio sets it by itself only on sockets that were made another way,
    # and without it the second packet of an answer waits 40 ms for the first one's acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def address(listening: socket.socket) -> str:
    """Where requests go: ``http://host:port``."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class HttpServer(uvicorn.Server):
    """Serves an application until it is asked to stop; signals are its caller's business."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=FINISH_S,
                lifespan="off",
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signal handlers as they are."""
        yield

    async def run_on(self, listening: socket.socket, stop: asyncio.Event) -> None:
        """Answers requests until ``stop``, then lets those that are under way end."""
        serving = asyncio.create_task(self.serve(sockets=[listening]))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.should_exit = True
            stopping.cancel()
            await serving
