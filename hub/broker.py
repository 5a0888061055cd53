"""The embedded broker of first steps, demo and tests: iotcore, a real broker from pip in a child process.

It forgets everything when it restarts and knows no users: a county runs Mosquitto. Its defaults refuse messages over
20 kB and speak only MQTT 3.1.1, so it is configured here.
"""

import tempfile
from pathlib import Path

from iotcore import Broker

_CONFIG = """
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10
[v5.1]
name = "tocsin"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 4194304
max_inflight_count = 500
dynamic_filters = true
"""


class BrokerError(RuntimeError):
    """The embedded broker did not come up; says why."""


class EmbeddedBroker:
    """Listens on one port of 127.0.0.1, MQTT 5."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._folder = tempfile.TemporaryDirectory(prefix="tocsin-broker-")
        path = Path(self._folder.name) / "broker.toml"
        path.write_text(_CONFIG.format(port=port))
        self._broker = Broker(config_path=str(path))

    def start(self) -> None:
        """Returns when it accepts connections. Raises BrokerError."""
        try:
            self._broker.start()
        except (OSError, RuntimeError) as err:
            raise BrokerError(f"embedded broker, port {self._port}: {err}") from err

    def stop(self) -> None:
        self._broker.stop()
        self._folder.cleanup()
