"""The application: ``uvicorn app.main:app``."""

from pathlib import Path

from fastapi import FastAPI, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse

from . import settings
from .limits import BodyTimeout
from .routes import authorization, notices, webhooks

PAGE = Path(__file__).with_name("page.html")

app = FastAPI(title="Notices", max_body_size=1024 * 1024)
app.add_middleware(BodyTimeout, seconds=15)
for routes in (authorization, notices, webhooks):
    app.include_router(routes.router)


@app.exception_handler(RequestValidationError)
async def refuse(request: Request, fault: RequestValidationError) -> JSONResponse:
    """Answer 400 with one sentence about the mistake, which the page can show."""
    first = fault.errors()[0]
    detail = f"{'.'.join(map(str, first['loc'][1:])) or 'The body'}: {first['msg']}"
    return JSONResponse({"detail": detail}, status.HTTP_400_BAD_REQUEST)


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """Serve the page, a static file that reads its settings from ``/api/settings``."""
    return FileResponse(PAGE)


@app.get("/pusher.js", include_in_schema=False)
async def library() -> FileResponse:
    """Serve pusher-js as npm installs it."""
    return FileResponse(settings.PUSHER_JS)


@app.get("/api/settings")
async def read_settings() -> dict[str, str | int | None]:
    """Return the settings that browsers need to connect, without the secret."""
    return {"key": settings.KEY, "host": settings.PUBLIC_HOST, "port": settings.PUBLIC_PORT}
