"""A bound for bodies: FastAPI and Starlette have none of their own."""

from fastapi import HTTPException, status
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Middleware that answers 413 once a request's body is longer than so many bytes, and reads no more of it."""

    def __init__(self, app: ASGIApp, longest: int) -> None:
        self._app = app
        self._longest = longest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = 0

        async def receive_some() -> Message:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            if length > self._longest:
                raise HTTPException(status.HTTP_413_CONTENT_TOO_LARGE, "The body is too long.")
            return message

        await self._app(scope, receive_some, send)
