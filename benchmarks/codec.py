"""The Modbus codec against pymodbus's framer, and what importing costs

One exchange is a question encoded and its answer of 10 holding registers decoded to words; nothing travels. The CRC of
both is a table in Python. The imports are those of `tocsin edge`, in a new interpreter each time, without and with
`pymodbus.client`: what a station would load if its bus were pymodbus's.
"""

import subprocess
import sys
from functools import partial

from pymodbus.framer import FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadHoldingRegistersResponse

from benchmarks._rows import BenchError, Row, medians, repeats_of, us_per_call
from edge import modbus
from tests.shared_data import REPOSITORY
from tocsin.devices import Request

UNIT, TRANSACTION = 7, 9
WORDS = list(range(1000, 1010))
ASK = Request(function=3, address=100, count=len(WORDS))
ANSWER = ReadHoldingRegistersResponse(UNIT, TRANSACTION, registers=WORDS)
EDGE = "import edge.agent, edge.command"
PEER = f"{EDGE}; import pymodbus.client"
PROBE = """
import time
began_s = time.perf_counter()
{imports}
took_s = time.perf_counter() - began_s
kib = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS:"))
print(took_s * 1000, kib / 1024)
"""


def run(quick: bool) -> list[Row]:
    """Rows of both framings and of the imports. Raises BenchError where the two do not read the same words."""
    repeats, count = repeats_of(quick), 20 if quick else 5_000
    rows: list[Row] = []
    for name, framer, own in (("RTU", FramerRTU, ours_rtu), ("TCP", FramerSocket, ours_tcp)):
        answer = framer(DecodePDU(is_server=True)).buildFrame(ANSWER)
        ours, theirs = partial(own, answer), partial(pymodbus, framer(DecodePDU(is_server=False)), answer)
        if not ours() == theirs() == WORDS:
            raise BenchError(f"{name}: {ours()} and {theirs()} were read, {WORDS} sent")
        our_us, peer_us = medians(repeats, *(partial(us_per_call, side, count) for side in (ours, theirs)))
        rows.append(Row(f"{name} exchange", our_us, peer_us, "pymodbus framer", "us", repeats))
    return rows + _import_rows(repeats)


def ours_rtu(answer: bytes) -> list[int]:
    """Encodes the question, decodes the answer."""
    modbus.rtu_frame(UNIT, modbus.question(ASK))
    return _words(modbus.rtu_find(answer, UNIT, ASK))


def ours_tcp(answer: bytes) -> list[int]:
    """Encodes the question, decodes the answer."""
    modbus.tcp_frame(TRANSACTION, UNIT, modbus.question(ASK))
    return _words(modbus.tcp_find(answer, TRANSACTION, UNIT, ASK))


def pymodbus(framer: FramerBase, answer: bytes) -> list[int]:
    """The same by pymodbus's own framer, as its client does it."""
    framer.buildFrame(ReadHoldingRegistersRequest(UNIT, TRANSACTION, address=ASK.address, count=ASK.count))
    _, pdu = framer.handleFrame(answer, UNIT, TRANSACTION)
    return list(pdu.registers) if pdu else []


def _words(found: modbus.Found | None) -> list[int]:
    return modbus.values(ASK, found.data) if found else []


def _import_rows(repeats: int) -> list[Row]:
    runs: dict[str, list[list[float]]] = {EDGE: [], PEER: []}
    for _ in range(repeats):
        for imports, found in runs.items():
            found.append(_imported(imports))
    rows = []
    for number, (what, unit) in enumerate((("import of the agent", "ms"), ("memory after the import", "MiB"))):
        ours, peer = (sorted(one[number] for one in found)[repeats // 2] for found in runs.values())
        rows.append(Row(what, ours, peer, "the same and pymodbus.client", unit, repeats))
    return rows


def _imported(imports: str) -> list[float]:
    """Milliseconds and MiB of resident memory of a new interpreter."""
    command = [sys.executable, "-c", PROBE.format(imports=imports)]
    done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]
