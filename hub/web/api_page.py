"""How the interface for programs is described: OpenAPI for programs, one plain page for people."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from litestar import Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OpenAPIType, Schema, SecurityScheme
from litestar.plugins import OpenAPISchemaPlugin
from litestar.status_codes import HTTP_404_NOT_FOUND
from litestar.typing import FieldDefinition

from hub.web.api_access import ROOT
from hub.web.api_words import ZH
from hub.web.door import OPEN
from hub.web.render import Asked, Site
from hub.web.words import Words
from tocsin import __version__

_ABOUT = "The data of one hub, to be read. Every time is a number, ms since 1970 UTC; null is never."


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, as people read it."""

    name: str
    allowed: str
    default: str
    required: bool


@dataclass(frozen=True, slots=True)
class Address:
    """One thing that programs may ask for."""

    path: str
    summary: str
    parameters: list[Parameter]


def described() -> OpenAPIConfig:
    """Plain JSON alone: the usual documentation pages load scripts from elsewhere."""
    token = SecurityScheme(type="http", scheme="bearer", description="a token of [api] in hub.toml, where it has any")
    officer = SecurityScheme(type="http", scheme="basic", description="an [[officer]] of hub.toml, where it has any")
    return OpenAPIConfig(
        title="tocsin hub",
        version=__version__,
        description=_ABOUT,
        openapi_router=Router(
            ROOT, route_handlers=[], include_in_schema=False, opt=OPEN, after_request=_refused_as_ours),
        render_plugins=[JsonRenderPlugin()],
        components=Components(security_schemes={"token": token, "officer": officer}),
    )


class Rows(OpenAPISchemaPlugin):
    """Describes rows of numbers by their length: not every reader of schemas knows how to tell of each place."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        return field_definition.origin is tuple and set(field_definition.args) <= {int, float}

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: object) -> Schema:  # noqa: ARG002
        size = len(field_definition.args)
        number = Schema(type=OpenAPIType.NUMBER)
        return Schema(type=OpenAPIType.ARRAY, items=number, min_items=size, max_items=size)


def _refused_as_ours(response: Response[Any]) -> Response[Any]:
    """Litestar has a page of its own for addresses that are not there."""
    if response.status_code == HTTP_404_NOT_FOUND:
        raise NotFoundException
    return response


def routes(site: Site) -> list[HTTPRouteHandler]:
    @get(f"{ROOT}/docs", include_in_schema=False, opt=OPEN)
    async def docs(request: Asked) -> Response[str]:
        say = site.words(request)
        paths = request.app.openapi_schema.to_schema()["paths"]
        context = {"addresses": list(_addresses(paths, say)), "root": ROOT, "access": _access(site, say)}
        return site.plain_page(request, "api.html", context)

    return [docs]


def _access(site: Site, say: Words) -> str:
    """Who may read."""
    if site.view.config.api.tokens:
        return say("api_token_or_officer") if site.door.locked else say("api_token")
    return say("api_officer") if site.door.locked else say("api_open")


def _addresses(paths: dict[str, Any], say: Words) -> Iterator[Address]:
    for path, methods in paths.items():
        operation = methods["get"]
        asked = [
            Parameter(
                one["name"],
                _in(say, one.get("description", "")),
                str(one["schema"].get("default", "")),
                one.get("required", False),
            )
            for one in operation.get("parameters", [])
        ]
        yield Address(path, _in(say, operation["summary"]), asked)


def _in(say: Words, english: str) -> str:
    return say.both(english, ZH.get(english, ""))
