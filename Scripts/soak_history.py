# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak: whether each mirror was told every change, and what may have kept one from it. Parts of `Soak`.

A mirror lists anew, and is not told what lies between, only when etcd has forgotten what would be told next. Here that
takes two things: a compaction, and a fault of the cluster that kept the mirror from being told before it. A listing for
which there is no such pair is a failure even when it hides nothing; so is a change that no such listing hides.
"""

from parts import Failure

# The faults of the cluster that may keep a mirror from being told, and why. What is not here explains nothing: nothing
# in this run breaks etcd's history, holds a mirror up until what waits for it overflows, or is too large to be read.
HIDING = {
    "leader killed": "connections to it end, and nobody tells anything before the next leader is elected",
    "follower killed": "connections to it end, and the next one is made after a wait",
    "member paused": "it tells nothing, and is left only when a PING has not been answered for 15 s",
    "leader partitioned": "it can commit nothing, and says only after an election's timeout that there is no leader",
    "follower partitioned": "it learns nothing that it could tell, and says so only after an election's timeout",
    "clients' packets dropped": "nothing arrives, which is noticed after 15 s",
    "quorum killed": "at most one member is there, without a leader",
    "quorum paused": "at most one member answers, without a leader",
    "history compacted behind clients": "all connections end, and none can be made before the compaction",
}
# For so long after a fault a mirror may still not be back: 15 s to notice it, and at most 5 s until the next try (F5).
REGAIN_SECONDS = 20


class Told:
    """What the log of a mirror says that its watch told it."""

    def __init__(self, name, log):
        # Kind, revision and key of each.
        self.changes = set()
        # Revisions between which a listing tells nothing: what was told last before it, None at first, and its own.
        self.listings = []
        known = None
        for words in map(str.split, log.splitlines()):
            if words[:1] not in (["reset"], ["put"], ["delete"]):
                continue
            revision = int(words[1])
            if known is not None and revision < known:
                raise Failure(f"{name} goes back from {known}: {' '.join(words)}")
            if words[0] == "reset":
                self.listings.append((known, revision))
            elif (change := (words[0], revision, words[2])) in self.changes:
                raise Failure(f"{name} is told {' '.join(words)} again")
            else:
                self.changes.add(change)
            known = revision


class History:
    def check_history(self, name):
        """Every change by hand is told, once and in order, but for those that a listing hid which was due."""
        told = Told(name, self.parts.log(name))
        due = [listing for listing in told.listings if self.is_due(*listing)]
        missed = [change for change in self.faults.changes if change not in told.changes]
        unexplained = [change for change in missed
                       if not any((since or 0) < change[1] <= to for since, to in due)]
        print(f"soak: {name} was told {len(told.changes)} changes; it listed {len(told.listings)} times, {len(due)} of "
              f"them duly, which hid {len(missed)} of {len(self.faults.changes)} changes by hand")
        if unexplained:
            raise Failure(f"{name} was never told {len(unexplained)} changes, the first {unexplained[0]}; compactions: "
                          f"{self.faults.compactions}, listings: {told.listings}")
        if undue := [listing for listing in told.listings if listing not in due]:
            raise Failure(f"{name} listed anew without a reason, (told before, at) {undue}; compactions: "
                          f"{self.faults.compactions}")
        if self.faults.counts.get("history compacted behind clients") and len(due) < 2:
            raise Failure(f"{name} has missed nothing: history was compacted behind nobody")

    def is_due(self, since, to):
        """Whether history was gone behind `since` by no doing of the mirror's: it is the first listing, or a compaction
        took the revision after `since` (it leaves its own) while clients were kept from being told.
        """
        return since is None or any(
            since + 1 < revision <= to and fault in HIDING for revision, fault in self.faults.compactions)
