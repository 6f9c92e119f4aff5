# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
#
# Sourced by the demos: real processes by name, each with its log in $work, none of which outlives the script.

legation=${LEGATION_BINARY:-$PWD/build/legation}
[ -x "$legation" ] || { echo "no binary at $legation: make release" >&2 && exit 1; }
for program in etcd etcdctl redis-server redis-cli python3; do
    command -v $program >/dev/null || { echo "no $program here: Scripts/install-needs" >&2 && exit 1; }
done

# Decimal points, and order of keys.
export LC_ALL=C
work=$(mktemp -d)
# Every process that this script starts inherits it: by it, what is left running is found.
export LEGATION_OWNER_OF_PROCESS=$work
# What a proxy keeps is this run's, and not this machine's.
export STATE_DIRECTORY=$work
declare -A pid_of=()
# Seconds that a client may take for the requests that a claim is counted by. No promise: a bound, for a machine that has
# much else to do.
# shellcheck disable=SC2034
patience=60
export ETCDCTL_API=3

milliseconds() { local now=${EPOCHREALTIME/./}; echo $((now / 1000)); }

seconds() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }

# What a demo tells: a step with the time since its begin, and what was seen in it.
demo_begun=$(milliseconds)
step() { printf '\n[%4.1f s] %s\n' "$(seconds $(($(milliseconds) - demo_begun)))" "$*"; }
say() { printf '         %s\n' "$*"; }

# The end of each process's log.
last_words() {
    local log
    for log in "$work"/*.log; do
        printf -- '--- %s\n' "$(basename "$log")" && tail -n 4 "$log"
    done
}

# Free ports, all different, below those that the kernel gives to outgoing connections (32768 on), which would otherwise
# take one before its program does, and above those of TestSupport's FreePorts. Each script begins at a place of its own,
# so that several may run at once.
free_ports() {
    python3 - "$1" $$ <<'PYTHON'
import itertools, random, socket, sys
wanted, script = int(sys.argv[1]), int(sys.argv[2])
begin = 26000 + script % 840 * 8
anywhere = (random.randrange(26000, 32768) for _ in itertools.repeat(None))
sockets = []
for port in itertools.chain(range(begin, begin + 8), anywhere):
    if len(sockets) == wanted:
        break
    one = socket.socket()
    try:
        one.bind(("127.0.0.1", port))
        sockets.append(one)
    except OSError:
        one.close()
ports = [one.getsockname()[1] for one in sockets]
# Before the answer: who has read it may want them at once.
for one in sockets:
    one.close()
print(*ports)
PYTHON
}

start() { # NAME COMMAND...
    local name=$1
    shift
    "$@" >>"$work/$name.log" 2>&1 &
    pid_of[$name]=$!
}

is_running() { [ -n "${pid_of[$1]:-}" ] && kill -0 "${pid_of[$1]}" 2>/dev/null; }

# Sends SIGTERM and waits at most $2 (10) seconds; its exit status is in $status, 999 when it had to be killed.
stop() {
    local name=$1 deadline=$(($(milliseconds) + ${2:-10} * 1000)) pid=${pid_of[$1]}
    kill -TERM "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do
        if [ "$(milliseconds)" -gt $deadline ]; then
            kill -KILL "$pid"
            wait "$pid" 2>/dev/null || true
            unset "pid_of[$name]"
            status=999
            return 0
        fi
        sleep 0.02
    done
    status=0
    wait "$pid" 2>/dev/null || status=$?
    unset "pid_of[$name]"
}

# kill -9; returns once it is gone, with the descriptors it held.
kill_hard() {
    local pid=${pid_of[$1]}
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
    unset "pid_of[$1]"
}

# Waits until a command succeeds; false after $1 seconds.
await() {
    local deadline=$(($(milliseconds) + $1 * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(milliseconds)" -lt $deadline ] || return 1
        sleep 0.05
    done
}

# Processes of this script that still run, as "pid command": the shell itself and what lists them left out.
leftovers() {
    local file pid
    for file in /proc/[0-9]*/environ; do
        pid=${file#/proc/} && pid=${pid%/environ}
        [ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] || continue
        if grep -qzxF "LEGATION_OWNER_OF_PROCESS=$work" "$file" 2>/dev/null; then
            echo "$pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
        fi
    done
}

clean_up() {
    local pid found
    for pid in "${pid_of[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    for pid in "${pid_of[@]}"; do wait "$pid" 2>/dev/null || true; done
    # What those had started, and what that starts while we look.
    for _ in {1..50}; do
        mapfile -t found < <(leftovers)
        [ ${#found[@]} -gt 0 ] || break
        for pid in "${found[@]%% *}"; do kill -KILL "$pid" 2>/dev/null || true; done
        sleep 0.02
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start_etcd() { # NAME CLIENT_PORT PEER_PORT
    start "$1" etcd --name "$1" --data-dir "$work/$1" --logger zap --log-level error \
        --listen-client-urls "http://127.0.0.1:$2" --advertise-client-urls "http://127.0.0.1:$2" \
        --listen-peer-urls "http://127.0.0.1:$3" --initial-advertise-peer-urls "http://127.0.0.1:$3" \
        --initial-cluster "$1=http://127.0.0.1:$3"
    await 20 env ETCDCTL_ENDPOINTS="127.0.0.1:$2" etcdctl endpoint health
}

start_redis() { # NAME PORT
    start "$1" redis-server --port "$2" --bind 127.0.0.1 --save "" --appendonly no --dir "$work" --loglevel warning
    await 15 redis-cli -p "$2" ping
}

# The address in the first `listening` line of a process's log.
listening_address() { grep -m 1 listening "$work/$1.log" | grep -o 'address=[^ ]*' | cut -d = -f 2 | tr -d '"'; }

# A client that never stops, until $work/NAME.stop is there: a new connection each time, PING and INFO through it. One
# line a request in $work/NAME.requests: begun, ended (ms since 1970), and the instance's port or "error TEXT".
client_loop() { # NAME PORT
    local begun answer instance=$'\ntcp_port:([0-9]+)\r?\n'
    while [ ! -e "$work/$1.stop" ]; do
        begun=$(milliseconds)
        # No pipes: each would cost a process a request, on a machine that runs other things beside a demo.
        answer=$(timeout 10 redis-cli -p "$2" <<<$'PING\nINFO server' 2>&1) || true
        if [[ $answer == PONG* && $answer$'\n' =~ $instance ]]; then
            echo "$begun $(milliseconds) ${BASH_REMATCH[1]}"
        else
            answer=${answer//$'\r'/}
            echo "$begun $(milliseconds) error ${answer//$'\n'/ }"
            sleep 0.05
        fi
    done >>"$work/$1.requests"
}

# A client that goes on while we count what it wrote to $requests, as client_loop writes it: a look takes those requests
# that began at or after $1 (ms), and sets $good, $bad.
look() {
    awk -v since="$1" '$1 >= since' "$requests" >"$work/window"
    read -r good bad < <(awk '{ if ($3 == "error") bad++; else good++ } END { print good + 0, bad + 0 }' "$work/window")
}
served_by() { awk -v instance="$1" '$3 == instance' "$work/window" | wc -l; }
made_requests() { # COUNT SINCE
    look "$2"
    [ $((good + bad)) -ge "$1" ]
}
first_error() { awk '$3 == "error" { print; exit }' "$work/window" | cut -d ' ' -f 4-; }

# A field of what Redis answers to INFO.
field() { awk -F : -v name="$1" '$1 == name { sub(/\r$/, "", $2); print $2 }'; }
