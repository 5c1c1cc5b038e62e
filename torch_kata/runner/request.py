"""What is asked of a run and what comes back: JSON lines over a private channel."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """One run of one task's grader.

    `phase` is "all", "correct" (everything but speed), "speed" or "bench"; `only` names the checks to run, all if
    empty. `key` stands in every line that comes back: what lacks it was not written by the engine.
    """

    task: int
    root: str
    target: str
    seed: int
    device: str = "cpu"
    phase: str = "all"
    only: tuple[str, ...] = ()
    seconds: float = 30.0
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
            self.socket.sendall(json.dumps({"key": self.key, "kind": kind, **values}).encode() + b"\n")


def receive(connection: socket.socket, key: str) -> Iterator[dict]:
    """The lines that come over a channel, until it is closed; `{"kind": "forged"}` for one without the key."""
    with connection.makefile("rb") as lines:
        for line in lines:
            try:
                message = json.loads(line)
                genuine = message.pop("key") == key
            except (ValueError, KeyError, AttributeError, TypeError):
                genuine = False
            yield message if genuine else {"kind": "forged"}
