"""docs/api.md: its examples are run, against the pages of a hub at a port, and give what stands below them."""

import asyncio
import json
import re
import shlex
import socket
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import uvicorn

from hub.config_api import ApiTable
from hub.web.app import app
from tests.hub_web_view import PlainView, storm
from tests.shared_data import REPOSITORY

PAGE = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```\n(curl [^\n]*)\n```(?:\n```json\n(.*?)\n```)?", PAGE, re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:8080"
WITHIN_S = 30

pytestmark = pytest.mark.docs


@pytest.fixture
def view(tmp_path: Path) -> PlainView:
    return storm(tmp_path / "cap")


@asynccontextmanager
async def serving(view: PlainView) -> AsyncIterator[str]:
    """The hub's pages on a port of their own."""
    settings = uvicorn.Config(app(view), lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            await task


@pytest.fixture
async def address(view: PlainView) -> AsyncIterator[str]:
    async with serving(view) as here:
        yield here


async def run(folder: Path, *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(WITHIN_S):
        out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    return out.decode()


@pytest.mark.parametrize(("command", "answer"), [example for example in EXAMPLES if example[1]])
async def test_an_example_gives_what_stands_below_it(tmp_path: Path, address: str, command: str, answer: str) -> None:
    said = await run(tmp_path, *shlex.split(command.replace(ADDRESS, address)))
    assert json.loads(said) == json.loads(answer)


async def test_what_has_not_changed_is_fetched_once(tmp_path: Path, address: str) -> None:
    (command,) = (command for command, _ in EXAMPLES if "--etag-save" in command)
    words = shlex.split(command.replace(ADDRESS, address))
    await run(tmp_path, *words)
    first = (tmp_path / "latest.json").read_bytes()
    assert len(json.loads(first)["points"]) == 5
    assert await run(tmp_path, *words, "-w", "%{http_code} %{size_download}") == "304 0"
    assert (tmp_path / "latest.json").read_bytes() == first


async def test_the_program_reads_every_page(tmp_path: Path, view: PlainView, address: str) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "pages.py").write_text(program.replace(ADDRESS, address))
    printed = await run(tmp_path, sys.executable, "pages.py")
    points = view.store.points["plant", "fence-2", "o2_pct_vol"]
    assert printed.splitlines() == [f"{t},{value},0" for t, value in points[:-1]]  # the last one is of this very moment


async def test_the_token_of_the_page_opens_and_is_needed(tmp_path: Path, view: PlainView) -> None:
    (table,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (command,) = (command for command, _ in EXAMPLES if "Authorization" in command)
    view.config = msgspec.structs.replace(view.config, api=msgspec.convert(tomllib.loads(table)["api"], ApiTable))
    async with serving(view) as here:
        opened = await run(tmp_path, *shlex.split(command.replace(ADDRESS, here)))
        closed = await run(tmp_path, "curl", "-sS", f"{here}/api/v1/health")
    assert json.loads(opened)["status"] == "ok"
    assert "token" in json.loads(closed)["error"]


def test_every_parameter_and_address_stands_on_the_page(view: PlainView) -> None:
    for path, methods in app(view).openapi_schema.to_schema()["paths"].items():
        assert f"`{path.replace('{', '<').replace('}', '>')}`" in PAGE
        for parameter in methods["get"].get("parameters", []):
            assert f"`{parameter['name']}`" in PAGE or parameter["in"] == "path", (path, parameter["name"])
