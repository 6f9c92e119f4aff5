# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak: what befalls the members of etcd and the network between them. Parts of `Faults`."""

import math
import time

from parts import wait_for

# Parts that say every two seconds or so that they live: whoever drops their packets has something to drop.
LEASE_HOLDERS = ["mirror-1", "register-1"]


class ClusterFaults:
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

        def undo():
            self.let_pass()
            self.cluster.rejoin(number)
        return f"etcd-{number + 1} " + self.ends_after(self.random.uniform(3, 8), undo)

    def blackhole(self):
        # One that somebody uses who has something to say, now and then.
        number = self.cluster.used_by(self.random.choice(LEASE_HOLDERS))
        if number is None:
            number = self.random.randrange(3)
        self.cluster.blackhole(number)
        return f"etcd-{number + 1} " + self.ends_after(self.random.uniform(3, 8), self.let_pass)

    def compact_behind_clients(self):
        """All are cut off and miss changes, and when they ask for them there are none any more."""
        self.ends_after(math.inf, self.let_pass)
        self.cluster.blackhole(*range(3))
        self.cluster.sever_clients()
        self.burst()
        said = self.compact()
        self.ends_after(0, self.let_pass)
        return said

    def let_pass(self):
        """Takes down the firewall, and notes what it has dropped."""
        self.dropped[self.disturbance] = self.dropped.get(self.disturbance, 0) + self.cluster.dropped()
        self.cluster.let_pass()

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
