# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""The proxies that meet the same faults, each a process of its own for each row; their files are in Scripts/robust-peers."""

import re
import string
import subprocess

from parts import LEGATION, ROOT
from robust.network import wait_until_listening

FILES = ROOT / "Scripts/robust-peers"
ROOTS = ROOT / "build/bench-peers"
# Of configurations, inside of each root.
FOLDER = "/run/robust"


class Peer:
    """A proxy that carries one address to two."""

    # What of the program's own words is its version.
    VERSION = r"\d+\.\d+\S*"

    def __init__(self, name, root=None):
        self.name, self.root = name, root
        self.key = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")

    def start(self, parts, place, wrapper=()):
        """Returns the name of its process, once it listens."""
        name = f"{self.key}-{place.number}"
        parts.start(name, *wrapper, *self.in_root(self.words(name, place)))
        wait_until_listening(place.listen, lambda: parts.running[name].poll() is None)
        return name

    def words(self, name, place):
        raise NotImplementedError

    def in_root(self, words):
        return ["chroot", ROOTS / self.root, *words] if self.root else words

    def version(self):
        said = subprocess.run(self.in_root(self.version_words()), capture_output=True, text=True, check=True)
        return re.search(self.VERSION, said.stdout + said.stderr)[0]

    def version_words(self):
        raise NotImplementedError

    def configured(self, file, name, place, **more):
        """The path of a rendered file, as the program sees it."""
        values = {"listen": place.listen_text, "first": place.first_text, "second": place.second_text}
        text = string.Template((FILES / file).read_text()).substitute(values, folder=FOLDER, name=name, **more)
        folder = ROOTS / self.root / FOLDER.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        return f"{FOLDER}/{name}"


class Legation(Peer):
    # With the commit that the binary was built from.
    VERSION = r"\d+\.\d+\S*( \(\S+\))?"

    def words(self, _name, place):
        return [LEGATION, "forward", "--workers", "1", "--log-level", "error", "--listen", place.listen_text,
                place.first_text, place.second_text]

    def version_words(self):
        return [LEGATION, "--version"]


class HAProxy(Peer):
    def __init__(self, name, root, bind="", server=""):
        super().__init__(name, root)
        self.bind, self.server = bind, server

    def words(self, name, place):
        return ["haproxy", "-db", "-f",
                self.configured("haproxy.cfg", name, place, bind=self.bind, server=self.server)]

    def version_words(self):
        return ["haproxy", "-v"]


class Nginx(Peer):
    def words(self, name, place):
        return ["nginx", "-c", self.configured("nginx.conf", name, place)]

    def version_words(self):
        return ["nginx", "-v"]


PEERS = [
    Legation("Legation"),
    HAProxy("HAProxy 2.6", "bookworm"),
    HAProxy("HAProxy 2.6, tcp-ut 40s", "bookworm", bind="tcp-ut 40s", server="tcp-ut 40s"),
    HAProxy("HAProxy 3.0", "trixie"),
    Nginx("nginx 1.22", "bookworm"),
    Nginx("nginx 1.26", "trixie"),
]
