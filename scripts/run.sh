#!/bin/sh
# First light: checks the host, starts the daemon in the background and runs a container with the stock docker client.
# Usage: run.sh WHARFD LOGFILE
set -eu
wharfd=$(realpath "$1")
log=$(realpath "$2")
socket=/run/wharf.sock
pidfile=/run/wharf.pid

if [ "$(id -u)" -ne 0 ]; then
    echo "make run starts a daemon that manages namespaces, mounts and networks: run it as root." >&2
    exit 1
fi

if [ -e "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; then
    echo "A daemon serves already (process $(cat "$pidfile")); 'make stop' stops it."
else
    "$wharfd" check
    # A session of its own, so that neither make nor the terminal takes the daemon along.
    setsid "$wharfd" >>"$log" 2>&1 </dev/null &
    daemon=$!
    tries=0
    until [ -S "$socket" ] && [ -e "$pidfile" ]; do
        if ! kill -0 "$daemon" 2>/dev/null || [ "$tries" -ge 200 ]; then
            echo "The daemon did not start; the end of $log:" >&2
            tail -n 20 "$log" >&2
            exit 1
        fi
        tries=$((tries + 1))
        sleep 0.05
    done
fi

if command -v docker >/dev/null; then
    export DOCKER_HOST="unix://$socket"
    "$wharfd" check --hello-image | docker load
    echo "\$ docker run --rm wharf/hello"
    docker run --rm wharf/hello
fi

cat <<END

The daemon serves on $socket. Its log is $log.

    export DOCKER_HOST=unix://$socket
    docker run --rm wharf/hello

'make stop' stops it.
END
