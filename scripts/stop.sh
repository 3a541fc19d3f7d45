#!/bin/sh
# Stops the daemon of the default pid file and waits until it is gone.
set -eu
pidfile=/run/wharf.pid

if ! [ -e "$pidfile" ] || ! kill -0 "$(cat "$pidfile")" 2>/dev/null; then
    echo "No daemon runs."
    exit 0
fi
pid=$(cat "$pidfile")
kill -TERM "$pid"
while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
echo "Stopped (process $pid)."
