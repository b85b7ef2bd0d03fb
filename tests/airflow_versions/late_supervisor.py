"""A task of Airflow 3 whose supervisor answers late: write what it was answered, a line each."""

import sys
from contextlib import suppress
from socket import socket, socketpair
from threading import Thread
from typing import Any

import msgspec
from airflow.sdk import Variable
from airflow.sdk.execution_time import comms, task_runner

from flowgauge.airflow.host.services import get_variable


def _read_request(connection: socket) -> Any:
    length = int.from_bytes(connection.recv(4), "big")
    return msgspec.msgpack.decode(connection.recv(length), type=comms._RequestFrame)


def _answer(request: Any) -> bytes:
    # Of some Airflows, a task also tells which values are secrets: that is answered by nothing.
    key = request.body.get("key")
    value = comms.VariableResult(key=key, value=f"the value of {key}") if key else None
    body = value.model_dump() if value else None
    return bytes(comms._ResponseFrame(id=request.id, body=body).as_bytes())


def _supervise(connection: socket) -> None:
    """Wait for a second question before answering the first, but not for ever."""
    answers = _answer(_read_request(connection))
    connection.settimeout(2)
    with suppress(TimeoutError):
        answers += _answer(_read_request(connection))
    connection.settimeout(None)
    while True:
        connection.sendall(answers)
        answers = _answer(_read_request(connection))


supervisor, task = socketpair()
task_runner.SUPERVISOR_COMMS = comms.CommsDecoder(socket=task)
Thread(target=_supervise, args=(supervisor,), daemon=True).start()
answers = get_variable("ours", seconds=0.2), Variable.get("theirs")
sys.stdout.write(f"{answers}\n")
