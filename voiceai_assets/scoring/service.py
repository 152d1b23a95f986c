"""The HTTP service that scores sessions while they go on.

Belongs here: routes, limits, the server. Does not belong here: features (``models.abandonment.prefix``), which version
scores (``champion``).

It holds no state and reads nothing but the registry, so it can run as often as needed. Bound to the loopback address
unless ``VOICEAI_BIND_HOST`` says otherwise: it has no login, so put one in front of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from threadpoolctl import threadpool_limits

from voiceai_assets.models.abandonment.prefix import prefix_features
from voiceai_assets.models.abandonment.registry import ModelVersion, Registry
from voiceai_assets.scoring.champion import Champion, NoChampionError
from voiceai_assets.scoring.messages import MOST_BYTES, Batch, Health, Score, Scores, SessionSoFar


def create_service(champion: Champion) -> FastAPI:
    """The application; it follows the champion as long as it runs."""

    @asynccontextmanager
    async def follow(_: FastAPI) -> AsyncIterator[None]:
        thread = champion.follow()
        yield
        champion.stop()
        thread.join(timeout=5)

    service = FastAPI(
        title="Abandonment scores",
        version="1",
        description="The chance that a caller gives up, from the turns so far. Each answer names the model's version.",
        lifespan=follow,
    )
    service.add_middleware(BodyLimit, most_bytes=MOST_BYTES)

    @service.exception_handler(NoChampionError)
    async def no_champion(_: Request, error: NoChampionError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=503)

    @service.get("/health")
    async def health(response: Response) -> Health:
        """Whether scores can be had, and by which version."""
        try:
            return Health(status="ok", model_version=champion.current().version)
        except NoChampionError:
            response.status_code = 503
            return Health(status="no champion", model_version=None)

    @service.post("/score")
    async def score(session: SessionSoFar) -> Score:
        """One session: chances after its last user turn."""
        return _scores(champion.current(), [session])[0]

    # in a worker thread, because 200 sessions would keep everybody else waiting
    @service.post("/score/batch")
    def score_batch(batch: Batch) -> Scores:
        """Several sessions, all by one version."""
        version = champion.current()
        return Scores(scores=_scores(version, batch.sessions), model_version=version.version)

    return service


def _scores(version: ModelVersion, sessions: Sequence[SessionSoFar]) -> list[Score]:
    features = []
    for number, session in enumerate(sessions):
        try:
            features.append(prefix_features([said.turn() for said in session.turns], session.known.model_dump()))
        except LookupError as error:
            raise HTTPException(422, f"session {number}: {error}") from error
    found = version.score(version.schema.rows(features))
    return [
        Score(
            k=int(float(one["k"] or 0)),
            hazard=float(found["hazard"][row]),
            landmark=float(found["landmark"][row]),
            model_version=version.version,
        )
        for row, one in enumerate(features)
    ]


class BodyLimit:
    """Refuses requests beyond a size, whether they say it or not, before anything reads them."""

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        """Around an application."""
        self._app, self._most = app, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the body in, up to the limit, and pass the request on with it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._most:
            await self._refuse(scope, receive, send)
            return
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._most:
                await self._refuse(scope, receive, send)
                return
            if not message.get("more_body", False):
                break
        taken: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return taken.pop() if taken else await receive()

        await self._app(scope, replay, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail: dict[str, Any] = {"detail": f"a request may have {self._most:,} bytes"}
        await JSONResponse(detail, status_code=413)(scope, receive, send)


def serve(registry: Registry, host: str, port: int) -> None:
    """Serve until interrupted; call it from the main thread."""
    import uvicorn

    threadpool_limits(limits=1)  # for good: waking threads for one row takes longer than scoring it
    uvicorn.run(create_service(Champion(registry)), host=host, port=port, log_level="warning", access_log=False)
