# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
#
# Sourced by lab: what a host is made of, and what runs on it.
#
# A host is a process that holds namespaces (network, mounts, host name, processes): when that ends, the kernel ends all
# that is in it. Nothing of a host is on disk: /run is its own tmpfs and holds the engine's data; /etc is this machine's
# with the host's files over it.
#
# What stands in single quotes is another shell's, mostly on a host.
# shellcheck disable=SC2016

# --- Hosts

# In the namespaces of a new host, as its first process; says "ready" and stays.
be_host() { # HOST ADDRESS
    local host=$1 address=$2
    ip link set lo up
    hostname "$host"
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p /run/lock /run/lab/etc/docker /run/lab/etc/legation /run/lab/work
    if [ "$host" = switch ]; then
        ip link add bridge type bridge
        ip address add "$address/24" dev bridge
        ip link set bridge up
    fi
    cd /run/lab/etc
    echo "$host" >hostname
    printf '127.0.0.1 localhost\n%s %s\n' "$address" "$host" >hosts
    # Scripts/no-names is there.
    echo "nameserver $etcd_address" >resolv.conf
    cat >docker/daemon.json <<JSON
{
    "data-root": "/run/lab/docker",
    "storage-driver": "overlay2",
    "exec-opts": ["native.cgroupdriver=cgroupfs"],
    "cgroup-parent": "/$(cgroup)/$host"
}
JSON
    printf '%s\n' "HOST_IP=$address" "ETCD=$etcd_address:2379" NETWORK= REDIS_IMAGE=redis:local >legation/host.env
    cd /
    mount -t overlay -o lowerdir=/etc,upperdir=/run/lab/etc,workdir=/run/lab/work overlay /etc
    [ -z "${LEGATION_ENGINE_ROOT:-}" ] || furnish_root "$LEGATION_ENGINE_ROOT"
    echo "${LEGATION_ENGINE_ROOT:-/}" >/run/lab/engine-root
    echo ready
    # Who ignores SIGCHLD need not wait for the orphans that it inherits.
    exec env --ignore-signal=CHLD sleep infinity >/dev/null 2>&1
}

# Another Debian, of which only the programs are its own: what its engine sees and makes is the host's.
furnish_root() { # ROOT
    local folder
    mkdir -p "$1/etc/docker"
    # The engine unpacks images in namespaces of mounts, which only what is a mount itself can be the root of.
    mount --bind "$1" "$1"
    for folder in /proc /sys /dev /run /tmp /etc/docker; do mount --rbind $folder "$1$folder"; done
}

# Starts the process that holds a host; the caller has seen that there is none.
start_host() { # HOST ADDRESS
    local host=$1 address=$2 from parent child line
    mkdir -p "$lab/$host"
    exec {from}< <(exec setsid unshare --net --mount --uts --ipc --pid --fork --kill-child --mount-proc \
        bash "$0" be-host "$host" "$address" 2>"$lab/$host/log" {lock}>&-)
    parent=$!
    read -r line <&"$from" || true
    exec {from}<&-
    [ "$line" = ready ] || fail "host $host could not be made: $(tail -n 3 "$lab/$host/log")"
    child=$(child_of "$parent")
    echo "$child" >"$lab/$host.pid"
    echo "$address" >"$lab/$host/address"
}

# A cable from the host to the switch, whose end there has the host's name.
connect_host() { # HOST
    local host=$1 address init switch
    address=$(<"$lab/$host/address")
    find_init switch && switch=$init && find_init "$host"
    nsenter --target "$switch" --net -- sh -euc '
        ip link delete dev "$1" 2>/dev/null || true
        ip link add name "$1" type veth peer name eth0 netns "$2"
        ip link set dev "$1" master bridge up' sh "$host" "$init"
    # What is not on this network is told so at once, in place of being dropped somewhere.
    nsenter --target "$init" --net -- sh -euc '
        ip address add "$1/24" dev eth0
        ip link set eth0 up
        ip route add unreachable default' sh "$address"
}

is_connected() { in_host "$1" ip link show eth0 >/dev/null 2>&1; }

new_address() {
    local taken number
    taken=$(cat "$lab"/*/address 2>/dev/null || true)
    for ((number = 1; number <= hosts_at_most; number++)); do
        grep -qxF "$network.$number" <<<"$taken" || { echo "$network.$number" && return; }
    done
    return 1
}

# --- Engines and etcd

# The number of its process is in the host's /run/lab/NAME.pid, its log in the lab's folder.
start_daemon() { # HOST NAME COMMAND...
    local host=$1 name=$2
    shift 2
    in_host "$host" sh -c 'log=$1; shift
        setsid sh -c "echo \$\$ >/run/lab/$0.pid; exec \"\$@\"" sh "$@" >>"$log" 2>&1 </dev/null &' \
        "$name" /dev/fd/3 "$@" 3>>"$lab/$host/$name.log" {lock}>&-
}

daemon_runs() { # HOST NAME
    in_host "$1" sh -c 'read -r pid <"/run/lab/$0.pid" && kill -0 "$pid"' "$2" >/dev/null 2>&1
}

# Sends a signal and waits for the end.
end_daemon() { # HOST NAME SIGNAL
    daemon_runs "$1" "$2" || return 0
    in_host "$1" sh -c 'read -r pid <"/run/lab/$0.pid" && kill "-$1" "$pid"' "$2" "$3"
    gone() { ! daemon_runs "$@"; }
    await $patience gone "$1" "$2" || fail "$2 of $1 still runs $patience s after SIG$3"
}

engine_answers() { in_host "$1" docker version; }
etcd_answers() { in_host switch env ETCDCTL_API=3 etcdctl endpoint health; }

start_engine() { # HOST
    local host=$1
    daemon_runs "$host" dockerd ||
        start_daemon "$host" dockerd sh -c 'exec chroot "$(cat /run/lab/engine-root)" dockerd'
    await $patience engine_answers "$host" ||
        fail "the engine of $host does not answer: $(tail -n 3 "$lab/$host/dockerd.log")"
    # What the units of deploy/ read: the group that may speak to the engine.
    in_host "$host" sh -c 'echo "DOCKER_GID=$(stat -c %g /var/run/docker.sock)" >/etc/legation/docker.env'
}

podman_answers() { in_host "$1" docker --host unix:///run/podman/podman.sock version; }

# Podman's service, with our images. Without control groups, for its own would outlive the host, and with few descriptors
# and processes a container: it asks for more than a lab may have. Its locks would be all labs' in /dev/shm.
start_podman() { # HOST
    local host=$1 program
    for program in podman crun; do
        command -v $program >/dev/null || fail "no $program here: Scripts/install-needs"
    done
    in_host "$host" sh -euc '
        [ ! -e /run/podman ] || exit 0
        mkdir -p /run/podman /run/lab/podman /run/lab/docker-client /etc/containers /var/lib/containers
        # It wants the file that DOCKER_CONFIG speaks of.
        echo "{}" >/run/lab/docker-client/config.json
        mount --bind /run/lab/podman /var/lib/containers
        # Beside a tree of version 1 crun takes none of version 2, were it empty.
        ! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified
        cat >/etc/containers/containers.conf' <<'TOML'
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "crun"
[network]
network_backend = "netavark"
TOML
    daemon_runs "$host" podman ||
        start_daemon "$host" podman podman system service --time=0 unix:///run/podman/podman.sock
    await $patience podman_answers "$host" ||
        fail "Podman of $host does not answer: $(tail -n 3 "$lab/$host/podman.log")"
    in_host "$host" podman image exists redis:local ||
        in_host "$host" sh -c 'docker save redis:local | podman load -q' >/dev/null
}

start_names() { daemon_runs switch names || start_daemon switch names "$root/Scripts/no-names" $etcd_address; }

start_etcd() {
    daemon_runs switch etcd || start_daemon switch etcd etcd --name switch --data-dir /run/lab/etcd --logger zap \
        --log-level warn --listen-client-urls "http://$etcd_address:2379,http://127.0.0.1:2379" \
        --advertise-client-urls "http://$etcd_address:2379" --listen-peer-urls http://127.0.0.1:2380
    await $patience etcd_answers || fail "etcd does not answer: $(tail -n 3 "$lab/switch/etcd.log")"
}

has_images() { in_host "$1" docker image inspect legation:latest redis:local redis-client:local >/dev/null 2>&1; }

# An engine, and our images in it, which are built once for all labs.
furnish() { # HOST
    start_engine "$1"
    has_images "$1" && return 0
    local images
    images=$(LEGATION_BINARY=$binary TMPDIR=/run/lab in_host "$1" "$root/Scripts/images" --archive)
    has_images "$1" || in_host "$1" docker load -q <"$images" >/dev/null
}
