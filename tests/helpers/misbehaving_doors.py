"""Doors that do what no reader may, for the test of the fuzzer itself."""

import os
import socket
import subprocess
from pathlib import Path


def run_command() -> None:
    os.system("true")


def start_process() -> None:
    subprocess.run(["true"], check=True)


def run_source() -> None:
    exec("2 + 2")


def connect() -> None:
    socket.create_connection(("127.0.0.1", 9), timeout=1)


def write() -> None:
    Path("written").touch()


def swallow() -> None:
    try:
        eval("2 + 2")
    except BaseException:
        return


def hang() -> None:
    while True:
        pass


def eat_memory() -> None:
    bytearray(2 << 30)


def exit_with_one() -> None:
    raise SystemExit(1)


def behave() -> None:
    Path("input").read_bytes()
    raise SystemExit(2)


def remove_elsewhere() -> None:
    Path("../other").unlink(missing_ok=True)
