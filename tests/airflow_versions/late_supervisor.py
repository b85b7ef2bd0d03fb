"""A task of Airflow 3 whose supervisor answers late: write what it was answered, a line each."""

import sys
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
    value = f"the value of {request.body['key']}"
    body = comms.VariableResult(key=request.body["key"], value=value).model_dump()
    return bytes(comms._ResponseFrame(id=request.id, body=body).as_bytes())


def _supervise(connection: socket) -> None:
    """Wait for a second question before answering the first, but not for ever."""
    first = _read_request(connection)
    connection.settimeout(2)
    try:
        second = _read_request(connection)
    except TimeoutError:
        connection.sendall(_answer(first))
        connection.settimeout(None)
        connection.sendall(_answer(_read_request(connection)))
    else:
        connection.sendall(_answer(first) + _answer(second))


supervisor, task = socketpair()
task_runner.SUPERVISOR_COMMS = comms.CommsDecoder(socket=task)
Thread(target=_supervise, args=(supervisor,), daemon=True).start()
sys.stdout.write(f"{get_variable('ours', seconds=0.2)}\n")
sys.stdout.write(f"{Variable.get('theirs')}\n")
