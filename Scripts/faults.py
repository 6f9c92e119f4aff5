# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak: faults by random choice. At most one member of etcd is away at a time, but for a lost quorum of 3 s."""

import time

from parts import Failure, delete, put, text, wait_for

SERVICE_PREFIX = "/services/redis-A/"
BY_HAND = "/services/by-hand/"
# The part of an instance's name that says that it stands there by hand.
OWN = "soak-"
CHANGES = 200


class Faults:
    def __init__(self, soak, random):
        self.soak = soak
        self.cluster = soak.cluster
        self.parts = soak.parts
        self.random = random
        # When and how the fault of the cluster that goes on ends; when it has, all members have to be well first.
        self.undo = None
        self.is_recovering = False
        self.bag = []
        self.counts = {}
        # From just before a Redis was killed until it was gone: who was inside it then may have seen its end.
        self.kills = []
        # Revision and key of each change by hand that etcd has confirmed.
        self.changes = []
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
        action = self.cluster_faults.get(chosen) or self.other_faults[chosen]
        self.say(chosen, action() or "")

    def look_after(self):
        """Ends what has lasted long enough."""
        if self.undo and time.monotonic() >= self.undo[0]:
            self.undo[1]()
            self.undo, self.is_recovering = None, True
        if self.is_recovering and all(member.is_healthy() for member in self.cluster.members):
            self.is_recovering = False

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

    def summary(self):
        return ", ".join(f"{count} × {name}" for name, count in sorted(self.counts.items()))

    def clock(self, moment):
        """As the logs say it."""
        moment += self.offset
        return time.strftime("%H:%M:%S", time.localtime(moment)) + f"{moment % 1:.3f}"[1:]

    def say(self, what, more):
        print(f"{self.clock(time.monotonic())} {what} {more}".rstrip(), flush=True)

    # MARK: Faults of the cluster

    def leader(self):
        return wait_for("a leader", 20, lambda: [number] if (number := self.cluster.leader()) is not None else None)[0]

    def follower(self):
        leader = self.leader()
        return self.random.choice([number for number in range(3) if number != leader])

    def ends_after(self, seconds, undo):
        self.undo = (time.monotonic() + seconds, undo)
        return f"for {seconds:.1f} s"

    def kill_member(self, number, seconds=None):
        self.cluster.kill(number)
        seconds = seconds or self.random.uniform(1, 3)
        return f"etcd-{number + 1} " + self.ends_after(seconds, lambda: self.cluster.restart(number))

    def pause_member(self):
        number = self.random.randrange(3)
        self.cluster.pause(number)
        return f"etcd-{number + 1} " + self.ends_after(self.random.uniform(2, 6), lambda: self.cluster.resume(number))

    def partition(self, number):
        self.cluster.partition(number)
        return f"etcd-{number + 1} " + self.ends_after(self.random.uniform(3, 8), lambda: self.cluster.rejoin(number))

    def blackhole(self):
        number = self.random.randrange(3)
        self.cluster.blackhole(number)
        return f"etcd-{number + 1} " + self.ends_after(self.random.uniform(3, 8), self.cluster.let_pass)

    def compact_behind_clients(self):
        """Those of one member miss changes, and when they ask another for them there are none any more."""
        client = self.random.choice(["mirror-1", "mirror-2", "proxy"])
        number = self.cluster.member_of(client)
        if number is None:
            return f"but {client} has no connection"
        self.cluster.blackhole(number)
        self.burst()
        self.compact()
        kill = self.kill_member(number)
        self.cluster.let_pass()
        return f"of {client}, {kill}"

    def two(self, begin, end):
        numbers = self.random.sample(range(3), 2)
        for number in numbers:
            begin(number)

        def undo():
            for number in numbers:
                end(number)
        names = " and ".join(f"etcd-{number + 1}" for number in numbers)
        return f"{names} " + self.ends_after(3, undo)

    def kill_two(self):
        return self.two(self.cluster.kill, self.cluster.restart)

    def pause_two(self):
        return self.two(self.cluster.pause, self.cluster.resume)

    # MARK: Other faults

    def insist(self, method, body, done=""):
        """Asks until it is answered; an error that contains `done` says that an earlier try was not in vain."""
        deadline = time.monotonic() + 20
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

    def compact(self):
        revision = self.insist("kv/range", {"key": "AA=="})["header"]["revision"]
        self.insist("kv/compaction", {"revision": revision}, done="compacted")
        return f"to revision {revision}"

    def defragment(self):
        number = self.random.choice(sorted(set(range(3)) - self.cluster.away))
        self.cluster.defragment(number)
        return f"of etcd-{number + 1}"

    def revoke(self, key):
        found = self.insist("kv/range", {"key": text(key)}).get("kvs")
        if not found or "lease" not in found[0]:
            return f"{key} is not there"
        self.insist("lease/revoke", {"ID": found[0]["lease"]}, done="not found")
        return f"{int(found[0]['lease']):x} of {key}"

    def revoke_register(self):
        number = self.random.choice([1, 2, 3])
        return self.revoke(f"{SERVICE_PREFIX}host{number}:127.0.0.1:{6380 + number}")

    def kill_redis(self):
        number = self.random.choice([1, 2, 3])
        begun = time.monotonic()
        self.parts.kill(f"redis-{number}")
        self.kills.append((begun, time.monotonic()))
        time.sleep(self.random.uniform(0.5, 2))
        self.soak.start_redis(number)
        return f"redis-{number}"

    def kill_register(self):
        # The first lives through: its descriptors and memory are measured.
        number = self.random.choice([2, 3])
        self.parts.kill(f"register-{number}")
        time.sleep(self.random.uniform(0.5, 2))
        self.soak.start_register(number)
        return f"register-{number}"

    def burst(self):
        """Keys of two kinds: some that nobody uses, and some that are instances, of Redis servers that are there."""
        for _ in range(CHANGES):
            number = self.random.randrange(40)
            if self.random.random() < 0.5:
                key, value = f"{BY_HAND}{number}", f"{self.random.random()}"
            else:
                value = f'{{"host":"127.0.1.{number + 1}","port":{6381 + number % 3}}}'
                key = f"{SERVICE_PREFIX}{OWN}{number}"
            operation = delete(key) if self.random.random() < 0.3 else put(key, value)
            answer = self.insist("kv/txn", {"success": [operation]})
            # A delete of what is not there changes nothing.
            if "response_put" in answer["responses"][0] or "deleted" in answer["responses"][0]["response_delete_range"]:
                self.changes.append((int(answer["header"]["revision"]), key))

    def remove_own(self):
        for prefix in (BY_HAND, SERVICE_PREFIX + OWN):
            end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
            self.insist("kv/deleterange", {"key": text(prefix), "range_end": text(end)})

    @staticmethod
    def without_own(table):
        return {key for key in table if not key.startswith((BY_HAND, SERVICE_PREFIX + OWN))}

    def explains(self, begun, ended):
        """Whether a Redis was killed in the time of a request."""
        return any(begun <= to and ended >= since for since, to in self.kills)
