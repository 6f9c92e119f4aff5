# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
#
# Sourced by what installs programs of another Debian, each in a root of its own that leaves this machine's packages and
# services alone. Needs `fail`.

# The mirror that apt uses here.
mirror() {
    # awk reads on after the first, or apt-get might fail of the closed pipe.
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
        awk '/\/debian\/*$/ && !found { print; found = 1 } END { exit !found }' ||
        fail "apt knows no mirror of Debian's main archive"
}

# Does nothing where it is there.
install_root() { # SUITE FOLDER PACKAGES
    # The list of packages, so that another list makes the root anew; written last, so that half a root is none.
    local suite=$1 root=$2 done=$2.packages
    if [ "$(cat "$done" 2>/dev/null)" = "$3" ]; then return 0; fi
    [ "$(id -u)" = 0 ] || fail "only root can make $root"
    if ! command -v debootstrap >/dev/null; then
        apt-get update -q || fail "apt-get update failed"
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends debootstrap ||
            fail "apt-get could not install debootstrap"
    fi
    rm -rf "$root" "$done"
    mkdir -p "$(dirname "$root")"
    debootstrap --variant=minbase --include="$3" "$suite" "$root" "$(mirror)" >"$root.log" 2>&1 ||
        fail "debootstrap failed: $(tail -n 3 "$root.log")"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root.log"
    echo "$3" >"$done"
    echo "installed: $root"
}
