"""The page *Model*: which version scores, what its criteria found, and the card of each version with its pictures.

Belongs here: the addresses, and what of the registry is shown.
Does not belong here: judgements (``models/abandonment``).

Plain HTML from the server, like *Trace*. A card holds words from data (names of modules): markdown is rendered without
HTML of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, request, send_from_directory
from markdown_it import MarkdownIt
from markupsafe import Markup

from voiceai_assets.pages import templates

if TYPE_CHECKING:
    from voiceai_assets.models.abandonment.registry import Registry

_VERSION = re.compile(r"[0-9a-f]{12}")
_PICTURE = re.compile(r"[a-z_]+\.png")
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


@dataclass(frozen=True)
class ModelPage:
    """What the page shows; everything is empty before a version was trained.

    Attributes:
        versions: name and role of those with a card, the champion first.
        card: markdown of the shown version.
    """

    champion: str | None = None
    shown: str | None = None
    verdict: dict[str, Any] = field(default_factory=dict)
    versions: list[dict[str, str]] = field(default_factory=list)
    card: str = ""


def read_model_page(registry: Registry, version: str | None) -> ModelPage:
    """Read the page of a version; without one, of the champion, else of the version that was judged last.

    Raises:
        RegistryError: when a pointer cannot be read.
    """
    champion, candidate = registry.champion(), registry.candidate()
    with_card = [name for name in registry.versions() if (registry.folder / name / "card.md").is_file()]
    with_card.sort(key=lambda name: (name != champion, name != candidate, name))
    shown = version if version in with_card else next(iter(with_card), None)
    if shown is None:
        return ModelPage(champion)
    versions = [{"name": name, "role": _role(name, champion, candidate)} for name in with_card]
    card = (registry.folder / shown / "card.md").read_text(encoding="utf-8")
    return ModelPage(champion, shown, registry.verdict(shown) or {}, versions, card)


def _role(name: str, champion: str | None, candidate: str | None) -> str:
    return "champion" if name == champion else "judged last" if name == candidate else "earlier"


def page(found: ModelPage) -> str:
    """The page as text."""
    environment = templates("voiceai_assets.dashboard")
    card = re.sub(r"^(#+) ", r"#\1 ", found.card, flags=re.MULTILINE)  # the page has a first heading already
    card = re.sub(r"\]\(([a-z_]+\.png)\)", rf"](/model/{found.shown}/\1)", card)
    html = Markup(_MARKDOWN.render(card))  # noqa: S704  # rendered without HTML of its own
    return environment.get_template("model.html").render(model=found, card=html)


def add_model_page(server: Flask, models: Path) -> None:
    """Serve ``/model?version=`` and the pictures of cards."""

    @server.get("/model")
    def model() -> Response:
        from voiceai_assets.models.abandonment.registry import Registry, RegistryError  # scikit-learn takes seconds

        asked = request.args.get("version", "")
        try:
            found = read_model_page(Registry(models), asked if _VERSION.fullmatch(asked) else None)
        except RegistryError as error:
            return Response(f"{error}\n", 503, mimetype="text/plain")
        return Response(page(found), mimetype="text/html")

    @server.get("/model/<version>/<name>")
    def picture(version: str, name: str) -> Response:
        if not _VERSION.fullmatch(version) or not _PICTURE.fullmatch(name):
            abort(404)
        from voiceai_assets.models.abandonment.registry import Registry

        return send_from_directory(Registry(models).folder / version, name, mimetype="image/png")
