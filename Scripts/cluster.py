# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak: three real etcds on 127.0.0.1, 127.0.0.2 and 127.0.0.3, and the faults of a cluster."""

import http.client
import re
import signal
import subprocess

from parts import CLIENTS, Etcd, Failure, etcdctl, wait_for

ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
# The group of the first member; by it the firewall knows who has dialled, since all dial from 127.0.0.1.
FIRST_GROUP = 4001
FIREWALL = f"""
table inet faults {{
    chain dialled {{
        type filter hook output priority -10;
        ct state new meta skgid {FIRST_GROUP} ct mark set 1
        ct state new meta skgid {FIRST_GROUP + 1} ct mark set 2
        ct state new meta skgid {FIRST_GROUP + 2} ct mark set 3
        ct state new meta skgid {CLIENTS} ct mark set 8
    }}
    chain drops {{ type filter hook output priority 0; }}
}}
"""


class Cluster:
    """Members by their number, 0 to 2. Those that a fault has taken away are in `away`."""

    def __init__(self, parts):
        self.parts = parts
        self.members = [Etcd(address) for address in ADDRESSES]
        self.away = set()
        self.endpoints = ",".join(member.url for member in self.members)
        self._nft(FIREWALL)
        for number in range(len(self.members)):
            self.start(number)
        self.await_health(30)

    # MARK: Members

    @staticmethod
    def name(number):
        return f"etcd-{number + 1}"

    def start(self, number):
        member, peer = self.members[number], f"http://{ADDRESSES[number]}:2380"
        peers = ",".join(f"{self.name(one)}=http://{address}:2380" for one, address in enumerate(ADDRESSES))
        self.parts.start(
            self.name(number), "etcd", "--name", self.name(number), "--data-dir", self.parts.folder / self.name(number),
            "--logger", "zap", "--log-level", "error", "--initial-cluster", peers,
            "--listen-client-urls", member.url, "--advertise-client-urls", member.url,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, group=FIRST_GROUP + number)

    def leader(self):
        """The leader's number, None if nobody says that he is it."""
        for number in sorted(set(range(len(self.members))) - self.away):
            try:
                status = self.members[number].call("maintenance/status", {}, seconds=1)
            except (OSError, http.client.HTTPException, Failure):
                continue
            if status.get("leader") == status["header"]["member_id"]:
                return number
        return None

    def await_health(self, seconds):
        wait_for("health of all members", seconds, lambda: all(member.is_healthy() for member in self.members))

    def call(self, method, body):
        """Asks a member that is there, one after the other."""
        failure = Failure("no member is there")
        for number in sorted(set(range(len(self.members))) - self.away):
            try:
                return self.members[number].call(method, body)
            except (OSError, http.client.HTTPException, Failure) as error:
                failure = error
        raise Failure(f"{method}: {failure}")

    # MARK: Faults

    def kill(self, number):
        self.away.add(number)
        self.parts.kill(self.name(number))

    def restart(self, number):
        self.start(number)
        self.away.discard(number)

    def pause(self, number):
        self.away.add(number)
        self.parts.send(self.name(number), signal.SIGSTOP)

    def resume(self, number):
        self.parts.send(self.name(number), signal.SIGCONT)
        self.away.discard(number)

    def partition(self, number):
        """Nothing passes any more between the member and its peers; clients of either still reach it."""
        self.away.add(number)
        address = ADDRESSES[number]
        self._drop(f"tcp dport 2380 ct mark {number + 1}", f"tcp sport 2380 ct mark {number + 1}",
                   f"ip daddr {address} tcp dport 2380", f"ip saddr {address} tcp sport 2380")

    def blackhole(self, *numbers):
        """Nothing passes any more between the members and their clients; nobody is told."""
        for address in (ADDRESSES[number] for number in numbers):
            self._drop(f"ct mark 8 ip daddr {address} tcp dport 2379", f"ct mark 8 ip saddr {address} tcp sport 2379")

    @staticmethod
    def sever_clients():
        """Ends every connection at the client's side, with all that was on its way to it: what a kernel has taken from
        a member it delivers later, also when the member is gone."""
        subprocess.run(["ss", "-HKt", "state", "established", "dport", "=", ":2379"], check=True, capture_output=True)

    def let_pass(self):
        self._nft("flush chain inet faults drops")

    @staticmethod
    def dropped():
        """Packets since the firewall last let all pass."""
        words = ["nft", "list", "chain", "inet", "faults", "drops"]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        return sum(map(int, re.findall(r"counter packets (\d+)", said)))

    def rejoin(self, number):
        """After a partition, when all may pass again."""
        self.away.discard(number)

    def defragment(self, number):
        etcdctl("--endpoints", self.members[number].url, "defrag")

    def _drop(self, *what):
        self._nft("; ".join(f"add rule inet faults drops {rule} counter drop" for rule in what))

    @staticmethod
    def _nft(commands):
        subprocess.run(["nft", "-f", "-"], input=commands.replace("; add", "\nadd"), text=True, check=True)

    # MARK: Looking

    def used_by(self, name):
        """The number of the member that a part is connected to, None while it is to none."""
        peers = {peer for _, peer in self.parts.connections(name)}
        used = [number for number, address in enumerate(ADDRESSES) if f"{address}:2379" in peers]
        return used[0] if used else None

    def await_equal_hashes(self, seconds):
        """Waits until all members have the same keys, as `etcdctl endpoint hashkv` says."""
        def are_equal():
            said = etcdctl("--endpoints", self.endpoints, "endpoint", "hashkv")
            hashes = re.findall(r", (\d+)$", said, re.MULTILINE)
            if len(hashes) == len(self.members) and len(set(hashes)) == 1:
                return True
            raise Failure(f"hashkv says {said}")
        wait_for("equal members (a fault of etcd's own if not)", seconds, are_equal)
