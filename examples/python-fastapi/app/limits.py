"""A time limit for request bodies, which uvicorn does not have."""

import asyncio

from fastapi import HTTPException, status
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyTimeout:
    """Middleware that answers 408 if the body of a request is not complete after so many seconds."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        end = asyncio.get_running_loop().time() + self._seconds
        whole = False

        async def receive_in_time() -> Message:
            nonlocal whole
            if whole:
                return await receive()  # waits for the disconnect of the client, without a limit
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                close = {"Connection": "close"}  # do not wait for the rest of the body
                raise HTTPException(
                    status.HTTP_408_REQUEST_TIMEOUT, "The body did not arrive in time.", close
                ) from None
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)
