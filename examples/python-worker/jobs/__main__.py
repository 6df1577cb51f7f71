"""The server of the page and of its routes: ``python -m jobs``."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, TypeGuard

from aiohttp import web
from aiohttp.typedefs import Handler

from . import settings
from .queue import Job, Queue, QueueFull
from .realtime import JOBS, PROGRESS, client

QUEUE = web.AppKey("queue", Queue)
routes = web.RouteTableDef()

LONGEST_READ = 15.0
"""The time limit for a request body, in seconds."""


@routes.get("/api/jobs")
async def list_jobs(request: web.Request) -> web.Response:
    """Return all jobs, the oldest first. A page asks for them after each join, so that it misses none."""
    return web.json_response([asdict(job) for job in request.app[QUEUE].jobs.values()])


@routes.post("/api/jobs")
async def start_job(request: web.Request) -> web.Response:
    """Put a job into the queue."""
    if request.content_type != "application/json":  # a page of another site cannot send this type without permission
        raise refusal(web.HTTPBadRequest, "A job is sent as JSON.")
    try:
        job = job_from(json.loads(await request.read()))
        request.app[QUEUE].add(job)
    except (ValueError, RecursionError) as fault:
        raise refusal(web.HTTPBadRequest, str(fault)) from None
    except QueueFull:
        raise refusal(web.HTTPTooManyRequests, "Too many jobs are waiting.") from None
    return web.json_response(asdict(job), status=201)


@routes.delete("/api/jobs/{id}")
async def cancel_job(request: web.Request) -> web.Response:
    """Cancel a waiting or running job."""
    job = request.app[QUEUE].jobs.get(request.match_info["id"])
    if job is None:
        raise refusal(web.HTTPNotFound, "There is no such job.")
    request.app[QUEUE].cancel(job)
    return web.json_response(asdict(job))


@routes.post("/api/pusher/auth")
async def authorize_channel(request: web.Request) -> web.Response:
    """Let a page join the channels of the jobs. This example permits everybody: check your login here."""
    try:
        form = await request.post()
        channel, socket_id = str(form.get("channel_name", "")), str(form.get("socket_id", ""))
        known = channel.startswith(PROGRESS) and channel.removeprefix(PROGRESS) in request.app[QUEUE].jobs
        if channel != JOBS and not known:
            raise refusal(web.HTTPForbidden, "There is no such channel.")
        return web.json_response(client.authenticate(channel, socket_id))
    except (ValueError, LookupError):
        raise refusal(web.HTTPBadRequest, "There is no socket_id.") from None


@routes.get("/api/settings")
async def read_settings(request: web.Request) -> web.Response:
    """Return the settings that browsers need to connect, without the secret."""
    return web.json_response({"key": settings.KEY, "host": settings.PUBLIC_HOST, "port": settings.PUBLIC_PORT})


@routes.get("/")
async def page(request: web.Request) -> web.FileResponse:
    """Serve the page."""
    return web.FileResponse(settings.FOLDER / "jobs" / "page.html")


@routes.get("/pusher.js")
async def library(request: web.Request) -> web.FileResponse:
    """Serve pusher-js as npm installs it."""
    return web.FileResponse(settings.PUSHER_JS)


def job_from(body: Any) -> Job:
    """Return the job of a request. Raise ValueError with a sentence that the page can show."""
    fields = body if isinstance(body, dict) else {}
    name, rows, seconds, bad_row = (fields.get(name) for name in ("name", "rows", "seconds", "bad_row"))
    if not isinstance(name, str) or not name.strip() or len(name) > 80 or not name.isprintable():
        raise ValueError("A name has 1 to 80 characters.")
    if not is_whole(rows, 1, 1_000_000):
        raise ValueError("The number of rows must be 1 to 1000000.")
    if not is_whole(seconds, 1, 3600):
        raise ValueError("A job takes 1 to 3600 seconds.")
    if not is_whole(bad_row, 0, rows):
        raise ValueError("The bad row must be one of the rows, or 0.")
    return Job(name.strip(), rows, seconds, bad_row)


def is_whole(value: Any, least: int, most: int) -> TypeGuard[int]:
    """Return True for a whole number within the bounds; ``true`` is not a number."""
    return type(value) is int and least <= value <= most


def refusal(status: type[web.HTTPException], error: str) -> web.HTTPException:
    """Return a response with the reason of a refusal."""
    return status(text=json.dumps({"error": error}), content_type="application/json")


@web.middleware
async def read_body(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Read the body first, with a time limit, which aiohttp lacks. Without this, an incomplete body would get 500."""
    try:
        async with asyncio.timeout(LONGEST_READ):
            await request.read()
    except TimeoutError:
        raise refusal(web.HTTPRequestTimeout, "The body did not arrive in time.") from None
    except ConnectionError:
        raise refusal(web.HTTPBadRequest, "The body ends too early.") from None
    return await handler(request)


async def run_queue(app: web.Application) -> AsyncIterator[None]:
    """Run the queue while the server runs."""
    app[QUEUE] = queue = Queue()
    yield
    await queue.close()


def application() -> web.Application:
    """Return the application."""
    app = web.Application(client_max_size=16 * 1024, middlewares=[read_body])
    app.add_routes(routes)
    app.cleanup_ctx.append(run_queue)
    return app


if __name__ == "__main__":
    # The server listens before it notifies the pages, so that their requests succeed.
    with socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "8000")))) as listener:
        web.run_app(application(), sock=listener, auto_decompress=False)  # no page sends compressed bodies
