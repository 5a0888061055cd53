"""Where a broker is, how it is trusted, and what is wrong with that, in words."""

import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tocsin.link_words import HUNG_UP, SIGNS, say
from tocsin.said import Said


class TlsError(Exception):
    """A file for TLS that is not there or is not what it should be; names key, file and what is wrong."""

    def __init__(self, said: Said) -> None:
        super().__init__(said)
        self.said = said


@dataclass(frozen=True, slots=True)
class Broker:
    """`mqtt://host:port` or `mqtts://host:port`, with user and password where it wants them.

    With TLS: `ca` is a file of the authorities to trust ("": those of the system), `cert` and `cert_key` are the files
    of our own certificate, where the broker wants one.
    """

    host: str
    port: int
    tls: bool = False
    user: str | None = None
    password: str | None = None
    ca: str = ""
    cert: str = ""
    cert_key: str = ""

    @classmethod
    def of(cls, url: str, ca: str = "", cert: str = "", cert_key: str = "") -> "Broker":
        """Raises ValueError that says what is allowed."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or port == -1 or parts.path not in {"", "/"}:
            raise ValueError(f'broker: "{url}" is not allowed; use mqtt://host:port or mqtts://host:port')
        tls = parts.scheme == "mqtts"
        given = next((key for key, name in (("ca", ca), ("cert", cert), ("cert_key", cert_key)) if name), "")
        if given and not tls:
            raise ValueError(f'{given}: is for TLS alone, and "{url}" is without; use mqtts://host:port')
        if bool(cert) != bool(cert_key):
            missing, there = ("cert_key", "cert") if cert else ("cert", "cert_key")
            raise ValueError(f'key "{missing}" is missing; a certificate of our own needs cert and cert_key, '
                             f"and {there} is given")
        return cls(
            parts.hostname,
            port or (8883 if tls else 1883),
            tls,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
            ca, cert, cert_key,
        )

    def beside(self, folder: Path) -> "Broker":
        """The same, with names of files taken as those of files in `folder`."""
        ca, cert, cert_key = (str(folder / name) if name else "" for name in (self.ca, self.cert, self.cert_key))
        return replace(self, ca=ca, cert=cert, cert_key=cert_key)


def context_of(broker: Broker) -> ssl.SSLContext:
    """What a TLS connection is made with; the files are read anew, so that renewed ones count. Raises TlsError."""
    try:
        # a file given, only what stands in it is loaded and trusted
        context = ssl.create_default_context(cafile=broker.ca or None)
    except OSError as err:
        raise TlsError(say("ca", file=broker.ca, why=_of_file(err, "no_ca"))) from err
    if broker.cert:
        try:
            context.load_cert_chain(broker.cert, broker.cert_key)
        except OSError as err:
            why = _of_file(err, "no_cert")
            raise TlsError(say("cert", cert=broker.cert, key=broker.cert_key, why=why)) from err
    return context


def problems_of(broker: Broker) -> list[str]:
    """What is wrong with the files, for `tocsin check`."""
    try:
        if broker.tls:
            context_of(broker)
    except TlsError as err:
        return [str(err)]
    return []


def _of_file(err: OSError, unread: str) -> Said:
    if isinstance(err, ssl.SSLError):
        apart = err.reason == "KEY_VALUES_MISMATCH"
        return say("apart" if apart else unread, why=(err.reason or str(err)).lower().replace("_", " "))
    return say("unopened", why=(err.strerror or str(err)).lower())


def in_words(err: Exception, broker: Broker) -> Said:
    """What went wrong with a connection, and what it came from."""
    if isinstance(err, TlsError):
        return err.said
    text = str(err) or type(err).__name__
    trusted = say("own_ca", file=broker.ca) if broker.ca else say("system_ca")
    for sign, key in SIGNS:
        if sign.lower() in text.lower():
            return say("and", words=say(key, host=broker.host, trusted=trusted), text=text)
    if broker.tls and any(sign in text for sign in HUNG_UP):
        return say("and", words=say("ours_perhaps_untrusted" if broker.cert else "ours_perhaps_wanted"), text=text)
    return Said(text, text)
