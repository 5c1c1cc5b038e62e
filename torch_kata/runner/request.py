"""What is asked of a run and what comes back: JSON lines over a private channel."""

from __future__ import annotations

import hmac
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

CHANNEL_LOST = 70  # the exit status of a process that could not send its result
SIGNATURE = 64  # characters of a SHA-256 in hexadecimal
LONGEST = 1 << 24  # bytes of a line; what an answer writes there may have no end


@dataclass(frozen=True)
class Request:
    """One run of one task's grader.

    `phase` is "all", "correct" (everything but speed), "speed" or "bench"; `only` names the checks to run, all if
    empty. Every line that comes back is signed with `key`, which never travels back: what is not, was not written by
    the engine.
    """

    task: int
    root: str
    target: str
    seed: int
    device: str = "cpu"
    phase: str = "all"
    only: tuple[str, ...] = ()
    seconds: float = 30.0
    check_seconds: float = 10.0
    memory_mb: int = 4096
    key: str = ""

    def dump(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @staticmethod
    def load(text: bytes) -> Request:
        values = json.loads(text)
        return Request(**{**values, "only": tuple(values["only"])})


@dataclass
class Channel:
    """The sending end. Only the process that made it writes: a fork of the learner's would repeat every line."""

    socket: socket.socket
    key: str
    owner: int = field(default_factory=os.getpid)

    def send(self, kind: str, **values: Any) -> None:
        if os.getpid() == self.owner:
            text = json.dumps({"kind": kind, **values}).encode()
            self.socket.sendall(_signature(self.key, text) + text + b"\n")


def receive(connection: socket.socket, key: str) -> Iterator[dict]:
    """The lines that come over a channel, until it is closed; `{"kind": "forged"}` for one that is not signed."""
    with connection.makefile("rb") as lines:
        while line := lines.readline(LONGEST):
            signature, text = line[:SIGNATURE], line[SIGNATURE:].rstrip(b"\n")
            genuine = hmac.compare_digest(signature, _signature(key, text))
            yield json.loads(text) if genuine else {"kind": "forged"}


def _signature(key: str, text: bytes) -> bytes:
    return hmac.digest(key.encode(), text, "sha256").hex().encode()
