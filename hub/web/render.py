"""Templates to responses: the reader's language, local time, and headers that let nothing foreign in."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response
from litestar.datastructures import Cookie, State
from markupsafe import Markup

from hub.web import moments
from hub.web.askers import SEAL, SEAL_KEPT_S
from hub.web.door import Door, officer_of
from hub.web.problems import Problem
from hub.web.view import View
from hub.web.words import LANGS, Lang, Words, number, preferred, unit_of
from tocsin.levels import Level

HERE = Path(__file__).parent
STYLE = (HERE / "static" / "style.css").read_bytes()
STYLE_VERSION = hashlib.blake2b(STYLE, digest_size=6).hexdigest()
SCRIPT = (HERE / "static" / "live.js").read_text(encoding="utf-8").strip()
LANG_COOKIE_S = 365 * 86_400

Asked = Request[Any, Any, State]


def _content_security_policy() -> str:
    """Only our style sheet and the one inline script run; nothing is fetched from elsewhere, nobody frames us."""
    script = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'self'; script-src 'sha256-{script}'; connect-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


HEADERS = {
    "Content-Security-Policy": _content_security_policy(),
    # an answer link is a secret to others; without it browsers would not say to us where a form came from
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Site:
    """The hub's view and the templates."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.door = Door(view.config)
        self.zone = ZoneInfo(view.config.hub.timezone)
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            Level=Level,
            number=number,
            unit_of=unit_of,
            script=Markup(SCRIPT),  # noqa: S704 - our own file
            style_version=STYLE_VERSION,
        )

    def words(self, request: Asked) -> Words:
        """By ?lang=, else by what was chosen before, else by the browser's wish. Raises Problem for another ?lang=."""
        asked = request.query_params.get("lang")
        if asked is not None:
            return Words(lang_of(asked))
        kept = request.cookies.get("lang")
        wished = preferred(request.headers.get("accept-language", ""))
        return Words(next((lang for lang in LANGS if lang == kept), wished))

    async def page(
        self, request: Asked, template: str, context: Mapping[str, object], status: int = 200
    ) -> Response[str]:
        """A whole page; `context` is what the template needs beside the words and times that all have."""
        return self.plain_page(request, template, {**context, "changes": request.state.changes}, status)

    async def note_changes(self, request: Asked) -> None:
        """Before anything is read: what changes while a page is made must bring it anew."""
        request.state.changes = await self.view.wait_changed(-1)

    def problem_page(self, request: Asked, problem: Problem) -> Response[str]:
        try:
            say = self.words(request)
        except Problem:
            say = Words("en")
        context = {"code": problem.status_code, "sentence": say.both(problem.told.error, problem.told.error_zh)}
        page = self.plain_page(request, "problem.html", context, problem.status_code)
        page.headers.update(problem.headers or {})
        return page

    def plain_page(
        self, request: Asked, template: str, context: Mapping[str, object], status: int = 200
    ) -> Response[str]:
        """A page that does not refresh itself."""
        try:
            say = self.words(request)
        except Problem:
            say = Words("en")
        html = self._templates.get_template(template).render(self._shared(request, say), **context)
        chosen = request.query_params.get("lang")
        keep = [Cookie(key="lang", value=say.lang, max_age=LANG_COOKIE_S, samesite="lax")] if chosen == say.lang else []
        if seal := self.door.new_seal(request):
            keep.append(Cookie(key=SEAL, value=seal, max_age=SEAL_KEPT_S, httponly=True, samesite="strict"))
        return Response(html, media_type="text/html", headers=HEADERS, status_code=status, cookies=keep)

    def _shared(self, request: Asked, say: Words) -> dict[str, object]:
        now = self.view.clock.now_ms()
        hub = self.view.config.hub
        return {
            "say": say,
            "hub_name": say.both(hub.name, hub.name_zh),
            "zone": hub.timezone,
            "status": self.view.config.cap.status,
            "logged_in": officer_of(request),
            "now": now,
            "at": lambda ms: moments.time_tag(ms, self.zone, now),
            "ago": lambda ms: moments.duration(now - ms, say.lang),
            "between": lambda start, end: moments.duration(end - start, say.lang),
            "in_lang": lambda lang: _with_lang(request, lang),
            "changes": None,
        }


def lang_of(word: str) -> Lang:
    """Raises Problem that lists what is allowed."""
    found = next((lang for lang in LANGS if lang == word), None)
    if found is None:
        raise Problem.of_value("lang", word, ", ".join(LANGS))
    return found


def _with_lang(request: Asked, lang: str) -> str:
    kept = [(key, value) for key, value in request.query_params.multi_items() if key != "lang"]
    return "?" + urlencode([*kept, ("lang", lang)])
