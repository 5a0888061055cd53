"""Certificates made with openssl, and a real Mosquitto that speaks TLS with them."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.services import Mosquitto, binary


class Pair(NamedTuple):
    """The files of a certificate and of its key."""

    cert: Path
    key: Path


class Authority:
    """One that signs. `days` below zero makes a certificate that has expired."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._own = Pair(folder / f"{name}.pem", folder / f"{name}.key")
        _openssl("req", "-x509", *_NEW_KEY, "-keyout", self._own.key, "-out", self._own.cert, "-days", "30",
                 "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    @property
    def cert(self) -> Path:
        return self._own.cert

    def sign(self, name: str, host: str, days: int = 30) -> Pair:
        made = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request = self.folder / f"{name}.csr"
        names = self.folder / f"{name}.ext"
        kind = "IP" if host.replace(".", "").isdigit() else "DNS"
        names.write_text(f"subjectAltName={kind}:{host}\n")
        _openssl("req", *_NEW_KEY, "-keyout", made.key, "-out", request, "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", request, "-CA", self._own.cert, "-CAkey", self._own.key, "-out", made.cert,
                 "-days", str(days), "-extfile", names)
        return made


class TlsMosquitto(Mosquitto):
    """Speaks TLS alone; `clients` is the authority whose certificates it asks of clients."""

    def __init__(self, folder: Path, own: Pair, clients: Path | None = None) -> None:
        super().__init__(folder)
        self._own = own
        self._clients = clients

    @property
    def url(self) -> str:
        return f"mqtts://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        lines = [f"listener {self.port} 127.0.0.1", f"certfile {self._own.cert}", f"keyfile {self._own.key}"]
        if self._clients is not None:
            lines += [f"cafile {self._clients}", "require_certificate true", "use_identity_as_username true"]
        lines += ["allow_anonymous true", "log_type error"]
        if os.getuid() == 0:
            lines.append("user root")
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        return ["-c", str(config)]


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run([binary("openssl"), *map(str, arguments)], check=True, capture_output=True)
