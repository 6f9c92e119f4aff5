# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""The proxies that are compared, each as its manual advises; their files are in Scripts/bench-peers."""

import re
import string
import subprocess

from bench_relay.machine import BOOKWORM, PEERS, PROXY_CORE, TRIXIE, await_port, in_root, on_core
from parts import LEGATION, ROOT

FILES = ROOT / "Scripts/bench-peers"
# Where each kind of load ends: Redis, iperf3, a web server, and a sink (or source) of our own.
TARGETS = {"redis": 6379, "bulk": 5201, "web": 8080, "sink": 9000}
# Inside of each root.
FOLDER = "/run/bench"


class Proxy:
    """One proxy in one variant, with a port for each kind of load. Runs on the proxy's core alone."""

    def __init__(self, place, name, variant="", root=None):
        self.name, self.variant, self.root = name, variant, root
        self.key = re.sub(r"[^a-z0-9.]+", "-", f"{name} {variant}".lower()).strip("-")
        self.ports = {route: 10_000 + 10 * place + number for number, route in enumerate(TARGETS)}

    def __str__(self):
        return f"{self.name}, {self.variant}" if self.variant else self.name

    def start(self, parts, core=PROXY_CORE):
        """For all routes; `await_ready` says when it listens."""
        parts.start(self.key, *on_core(core, *self.words()))

    def await_ready(self, *routes):
        for route in routes:
            await_port(self.ports[route])

    def stop(self, parts):
        parts.stop(self.key)

    def pid(self, parts, _route):
        return parts.pid(self.key)

    def words(self):
        """The command."""
        raise NotImplementedError

    def render(self, file, **more):
        """A file of Scripts/bench-peers with this proxy's ports."""
        values = self.ports | {f"{route}_target": port for route, port in TARGETS.items()} | {"folder": FOLDER} | more
        return string.Template((FILES / file).read_text()).substitute(values)

    def place_file(self, name, text):
        """Writes it where the program sees it under the path that is returned."""
        folder = self.root / FOLDER.lstrip("/") if self.root else PEERS / "run"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        return f"{FOLDER}/{name}" if self.root else str(folder / name)


class PerRoute(Proxy):
    """A program that carries one port to one target, therefore a process for each route."""

    def start(self, parts, core=PROXY_CORE):
        for route in TARGETS:
            parts.start(f"{self.key}-{route}", *on_core(core, *self.route_words(route)))

    def stop(self, parts):
        for route in TARGETS:
            parts.stop(f"{self.key}-{route}")

    def pid(self, parts, route):
        return parts.pid(f"{self.key}-{route}")

    def words(self):
        return self.route_words("redis")

    def route_words(self, route):
        raise NotImplementedError


class Legation(PerRoute):
    workers = 1

    def route_words(self, route):
        return [LEGATION, "forward", "--workers", self.workers, "--log-level", "error",
                "--listen", f"127.0.0.1:{self.ports[route]}", f"127.0.0.1:{TARGETS[route]}"]

    def stop(self, parts):
        # It would give open connections the time to end.
        for route in TARGETS:
            parts.kill(f"{self.key}-{route}")


class Socat(PerRoute):
    def route_words(self, route):
        return in_root(self.root, "socat", f"TCP-LISTEN:{self.ports[route]},bind=127.0.0.1,reuseaddr,fork,backlog=4096",
                       f"TCP:127.0.0.1:{TARGETS[route]}")


class HAProxy(Proxy):
    def file(self):
        return self.render("haproxy.cfg", tuning=f"tune.{self.variant}" if self.variant else "")

    def words(self):
        return in_root(self.root, "haproxy", "-db", "-f", self.place_file(f"{self.key}.cfg", self.file()))


class Nginx(Proxy):
    def file(self):
        return self.render("nginx.conf", name=self.key, tuning=f"{self.variant};")

    def words(self):
        return in_root(self.root, "nginx", "-c", self.place_file(f"{self.key}.conf", self.file()))


class Envoy(Proxy):
    def file(self):
        return self.render("envoy.yaml")

    def words(self):
        return [PEERS / "envoy", "--concurrency", "1", "--disable-hot-restart", "--log-level", "error",
                "-c", self.place_file(f"{self.key}.yaml", self.file())]


class Direct(Proxy):
    """No proxy: what the machine gives at this moment."""

    def __init__(self):
        super().__init__(0, "direct")
        self.ports = TARGETS

    def start(self, parts, core=PROXY_CORE):
        pass

    def stop(self, parts):
        pass

    def await_ready(self, *routes):
        pass

    def pid(self, parts, _route):
        return None


def version(*words):
    said = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=True)
    return re.search(r"\d+\.\d+(\.\d+)*", said.stdout + said.stderr).group(0)


def all_proxies():
    """Direct and Legation first, then the peers, each named with its version."""
    proxies = [Direct(), Legation(0, "Legation")]

    def add(kind, name, root, *variants):
        for variant in variants:
            proxies.append(kind(len(proxies), name, variant, root))
    for root in (BOOKWORM, TRIXIE):
        add(HAProxy, f"HAProxy {version(*in_root(root, 'haproxy', '-v'))}", root, "", "bufsize 65536")
        add(Nginx, f"nginx {version(*in_root(root, 'nginx', '-v'))}", root,
            "proxy_buffer_size 16k", "proxy_buffer_size 64k")
    envoy = re.search(r"/(\d+\.\d+\.\d+)/", subprocess.run(
        [PEERS / "envoy", "--version"], capture_output=True, text=True, check=True).stdout).group(1)
    add(Envoy, f"Envoy {envoy}", None, "")
    add(Socat, f"socat {version(*in_root(BOOKWORM, 'socat', '-V'))}", BOOKWORM, "")
    return proxies
