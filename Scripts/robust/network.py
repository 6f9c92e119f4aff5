# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Addresses, servers, clients and a firewall, in a network of the script's own."""

import contextlib
import errno
import itertools
import socket
import struct
import subprocess
import threading
import time

from parts import wait_for

# Of every call on a socket that should be answered soon.
SECONDS = 20
numbers = itertools.count(1)
PORT = 7000


class Place:
    """Three addresses that nobody else has: of the proxy, and of two servers behind it."""

    def __init__(self):
        self.number = next(numbers)
        self.listen, self.first, self.second = ((f"127.{self.number >> 8}.{self.number & 255}.{host}", PORT)
                                                for host in (1, 2, 3))
        self.listen_text, self.first_text, self.second_text = (
            f"{host}:{port}" for host, port in (self.listen, self.first, self.second))

    def connect(self, seconds=SECONDS):
        return socket.create_connection(self.listen, timeout=seconds)


class Server:
    """Serves each connection on a thread. What it sees of health checks is an end without a byte: no row counts these."""

    def __init__(self, address, serve, stack):
        self.serve = serve
        self.listener = socket.create_server(address, backlog=4096)
        stack.callback(self.listener.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(400)
            self.serve(connection)


def naming(name):
    """Answers a line by its name, until the end."""
    def serve(connection):
        with connection.makefile("rb") as lines:
            for _ in lines:
                connection.sendall(name + b"\n")
    return serve


def ask(connection):
    """A line there and one back; b"" at an end."""
    connection.sendall(b"who?\n")
    return read_line(connection)


def read_line(connection):
    line = b""
    while not line.endswith(b"\n") and (byte := connection.recv(1)):
        line += byte
    return line.strip()


def end_of(connection, into=None):
    """Reads to the end. Returns (bytes, how it ended)."""
    count = 0
    while True:
        try:
            part = connection.recv(1 << 18)
        except ConnectionResetError:
            return count, "reset"
        except TimeoutError:
            return count, "nothing"
        except OSError as error:
            return count, errno.errorcode[error.errno]
        if not part:
            return count, "end"
        count += len(part)
        if into is not None:
            into += part


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def wait_until_listening(address, is_alive):
    def listens():
        if not is_alive():
            raise SystemExit(f"the proxy for {address} has ended")
        with contextlib.suppress(OSError):
            socket.create_connection(address, timeout=1).close()
            return True
        return False
    wait_for(f"a listener at {address}", 20, listens)


# MARK: - Packets

def nft(commands):
    subprocess.run(["nft", commands], check=True)


def set_up_firewall():
    nft("add table inet faults\nadd chain inet faults arriving { type filter hook input priority 0 ; }")


def blackhole(address):
    nft(f"add rule inet faults arriving ip daddr {address[0]} tcp dport {address[1]} drop")


def cut(connection):
    """Nothing of a connection arrives any more at either end."""
    (here, mine), (there, yours) = connection.getsockname(), connection.getpeername()
    for one, two in (((here, mine), (there, yours)), ((there, yours), (here, mine))):
        nft(f"add rule inet faults arriving ip saddr {one[0]} tcp sport {one[1]} "
            f"ip daddr {two[0]} tcp dport {two[1]} drop")


def seconds_since(start):
    return time.monotonic() - start
