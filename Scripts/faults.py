# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak: faults by random choice. At most one member of etcd is away at a time, but for a lost quorum of 3 s."""

import math
import time

from cluster_faults import ClusterFaults
from other_faults import BY_HAND, OWN, SERVICE_PREFIX, OtherFaults
from parts import Failure, text


class Faults(ClusterFaults, OtherFaults):
    def __init__(self, soak, random):
        self.soak = soak
        self.cluster = soak.cluster
        self.parts = soak.parts
        self.random = random
        # When and how the fault of the cluster that goes on ends; when it has, all members have to be well first.
        self.undo = None
        self.is_recovering = False
        # The last fault of the cluster, and when all were well again after it.
        self.disturbance = None
        self.well_since = 0.0
        # Packets that the firewall has dropped, by fault.
        self.dropped = {}
        self.bag = []
        self.counts = {}
        # From just before a Redis was killed until it was gone: who was inside it then may have seen its end.
        self.kills = []
        # Kind, revision and key of each change by hand that etcd has confirmed.
        self.changes = []
        # The revision of each compaction that was asked for, and the fault of the cluster, if any, from which clients
        # may not have been back then.
        self.compactions = []
        self.offset = time.time() - time.monotonic()
        self.cluster_faults = {
            "leader killed": lambda: self.kill_member(self.leader()),
            "follower killed": lambda: self.kill_member(self.follower()),
            "member paused": self.pause_member,
            "leader partitioned": lambda: self.partition(self.leader()),
            "follower partitioned": lambda: self.partition(self.follower()),
            "clients' packets dropped": self.blackhole,
            "history compacted behind clients": self.compact_behind_clients,
            "quorum killed": self.kill_two,
            "quorum paused": self.pause_two,
        }
        self.other_faults = {
            "compaction": self.compact,
            "defragmentation": self.defragment,
            "registrator's lease revoked": self.revoke_register,
            "mirror's lease revoked": lambda: self.revoke("/services/kept/0"),
            "Redis killed": self.kill_redis,
            "registrator killed": self.kill_register,
            "burst of changes": self.burst,
        }

    # MARK: Choice

    def next(self):
        """Each kind comes once before any comes again, in an order of chance."""
        if not self.bag:
            self.bag = [*self.cluster_faults, *self.other_faults]
            self.random.shuffle(self.bag)
        is_free = self.undo is None and not self.is_recovering
        chosen = next((name for name in self.bag if is_free or name in self.other_faults), None)
        if chosen is None:
            return
        self.bag.remove(chosen)
        self.counts[chosen] = self.counts.get(chosen, 0) + 1
        if chosen in self.cluster_faults:
            self.disturbance, self.well_since = chosen, math.inf
        action = self.cluster_faults.get(chosen) or self.other_faults[chosen]
        self.say(chosen, action() or "")

    def look_after(self):
        """Ends what has lasted long enough."""
        if self.undo and time.monotonic() >= self.undo[0]:
            self.undo[1]()
            self.undo, self.is_recovering = None, True
        if self.is_recovering and all(member.is_healthy() for member in self.cluster.members):
            self.is_recovering, self.well_since = False, time.monotonic()

    def disturbs(self, seconds):
        """The fault of the cluster that goes on, or after which all have been well for no longer than so."""
        return self.disturbance if time.monotonic() < self.well_since + seconds else None

    def heal(self):
        deadline = time.monotonic() + 40
        while self.undo or self.is_recovering:
            if time.monotonic() > deadline:
                raise Failure("etcd's members are not well within 40 s")
            self.look_after()
            time.sleep(0.05)
        self.remove_own()

    def warm_up(self):
        """What makes each part allocate what it keeps, always the same."""
        for name in ("burst of changes", "registrator's lease revoked", "mirror's lease revoked"):
            self.other_faults[name]()
        for number in range(len(self.cluster.members)):
            self.kill_member(number, seconds=1)
            self.heal()
        self.burst()
        self.remove_own()

    def insist(self, method, body, done=""):
        """Asks until it is answered; an error that contains `done` says that an earlier try was not in vain."""
        # As `heal`: a lost quorum has to come back before anybody is answered.
        deadline = time.monotonic() + 40
        while True:
            try:
                return self.cluster.call(method, body)
            except Failure as failure:
                if done and done in str(failure):
                    return None
                if time.monotonic() > deadline:
                    raise
            self.look_after()
            time.sleep(0.1)

    def remove_own(self):
        for prefix in (BY_HAND, SERVICE_PREFIX + OWN):
            end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
            self.insist("kv/deleterange", {"key": text(prefix), "range_end": text(end)})

    @staticmethod
    def without_own(table):
        return {key for key in table if not key.startswith((BY_HAND, SERVICE_PREFIX + OWN))}

    def explains(self, begun, ended):
        """Whether a Redis was killed in the time of a request, which saw that at once."""
        is_slow = self.soak.standstill.is_slow(begun, ended)
        return not is_slow and any(begun <= to and ended >= since for since, to in self.kills)

    def summary(self):
        return ", ".join(f"{count} × {name}" for name, count in sorted(self.counts.items()))

    def clock(self, moment):
        """As the logs say it."""
        moment += self.offset
        return time.strftime("%H:%M:%S", time.localtime(moment)) + f"{moment % 1:.3f}"[1:]

    def say(self, what, more):
        print(f"{self.clock(time.monotonic())} {what} {more}".rstrip(), flush=True)
