"""VictoriaMetrics as a server of the tests; see tests/services.py."""

from typing import Any

import httpx
import msgspec

from tests.services import Server


class VictoriaMetrics(Server):
    """A real VictoriaMetrics on 127.0.0.1: it takes the line protocol of InfluxDB 2 and answers in a way of its own.

    It says 204 to lines that it drops, and keeps every value of a repeated time unless it is told to keep one.
    """

    command = "victoria-metrics"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        return [
            f"-httpListenAddr=127.0.0.1:{self.port}", f"-storageDataPath={self.state}",
            "-dedup.minScrapeInterval=1ms", "-retentionPeriod=100y", "-memory.allowedBytes=64MB", "-loggerLevel=ERROR",
        ]  # fmt: skip

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def export(self, name: str) -> list[dict[str, Any]]:
        """Every series of a metric: `{"metric": {tags}, "values": [...], "timestamps": [ms, ...]}`."""
        httpx.get(f"{self.url}/internal/force_flush", trust_env=False)
        parameters = {"match[]": name}
        answer = httpx.get(f"{self.url}/api/v1/export", params=parameters, timeout=30, trust_env=False)
        return [msgspec.json.decode(line) for line in answer.text.splitlines()]
