# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak: what befalls the history in etcd, leases, Redis servers and registrators. Parts of `Faults`."""

import time

from parts import delete, put, text
from soak_history import REGAIN_SECONDS

SERVICE_PREFIX = "/services/redis-A/"
BY_HAND = "/services/by-hand/"
# The part of an instance's name that says that it stands there by hand.
OWN = "soak-"
CHANGES = 200


class OtherFaults:
    def compact(self):
        revision = self.insist("kv/range", {"key": "AA=="})["header"]["revision"]
        # Before the question: it may be carried out although its answer gets lost.
        self.compactions.append((int(revision), self.disturbs(REGAIN_SECONDS)))
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
            response = answer["responses"][0]
            kind = "put" if "response_put" in response else "delete"
            # A delete of what is not there changes nothing.
            if kind == "put" or "deleted" in response["response_delete_range"]:
                self.changes.append((kind, int(answer["header"]["revision"]), key))
