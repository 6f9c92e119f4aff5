# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak and bench: a network namespace of their own."""

import os
import shutil
import subprocess
import sys

from parts import INSIDE, LEGATION, MIRROR


def enter_own_network():
    """Starts the script again in a network namespace, where every port is free and a firewall is nobody else's."""
    for program in ("unshare", "setpriv", "ip", "nft", "ss", "etcd", "etcdctl", "redis-server"):
        if not shutil.which(program):
            sys.exit(f"no {program} here: make needs")
    for program, goal in ((LEGATION, "make release"), (MIRROR, "make build")):
        if not os.access(program, os.X_OK):
            sys.exit(f"no binary at {program}: {goal}")
    if os.environ.pop(INSIDE, None) is None:
        if os.geteuid() != 0:
            sys.exit("only root can make a network namespace")
        words = ["unshare", "--net", sys.executable, *sys.argv]
        os.execvpe(words[0], words, os.environ | {INSIDE: "1"})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # Nothing of the caller's shall decide what is measured here.
    for name in [name for name in os.environ if name.startswith(("LEGATION_", "ETCD"))]:
        del os.environ[name]
    os.environ.update(ETCDCTL_API="3", LC_ALL="C")
