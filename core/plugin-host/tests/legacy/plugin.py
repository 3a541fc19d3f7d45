"""An authorization plugin as people write them: `http.server` on a unix socket, or over TLS on a port.

plugin.py ADDRESS MODE RECORD [CERT KEY CLIENT-CA]

Says "ready" (and its port) when it can be reached, and writes every call as a line of JSON to RECORD.
"""

import http.server
import itertools
import json
import os
import socket
import socketserver
import ssl
import sys
import threading
import time

ADDRESS, MODE, RECORD, *TLS = sys.argv[1:]
LOCK = threading.Lock()
CONNECTIONS = itertools.count(1)

ANSWERS = {
    "deny": (200, b'{"Allow": false, "Msg": "not today"}'),
    "error": (200, b'{"Allow": true, "Err": "policy is broken"}'),
    "garbage": (200, b"<html>Allow: true</html>"),
    "failure": (500, b'{"Err": "out of order"}'),
    "missing": (404, b"404 page not found\n"),
    "huge": (200, b'{"Allow": true, "Msg": "' + b"x" * (2 << 20) + b'"}'),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0" if MODE == "http10" else "HTTP/1.1"

    def setup(self):
        self.connection_number = next(CONNECTIONS)
        super().setup()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        call = {"path": self.path, "headers": dict(self.headers), "body": body, "connection": self.connection_number}
        with LOCK, open(RECORD, "a") as record:
            print(json.dumps(call), file=record)
        if self.path == "/Plugin.Activate":
            if MODE.startswith("slow"):
                time.sleep(float(MODE[4:]))
            kind = "VolumeDriver" if MODE == "volumes" else "authz"
            self.answer(200, json.dumps({"Implements": [kind]}).encode())
        elif MODE == "hang":
            time.sleep(1000)
        elif MODE == "dies":
            os._exit(1)
        elif MODE == "cut":
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"Allow": true}')
            self.close_connection = True
        else:
            self.answer(*ANSWERS.get(MODE, (200, b'{"Allow": true}')))
            if MODE == "closes":
                # Without a word about it, as a server does that restarts or loses patience.
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return ADDRESS

    def log_message(self, *_):
        pass


class Unix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Tcp(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True


if TLS:
    server = Tcp(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS[0], TLS[1])
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(TLS[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready", server.server_address[1], flush=True)
else:
    if os.path.exists(ADDRESS):
        os.unlink(ADDRESS)
    server = Unix(ADDRESS, Handler)
    print("ready", flush=True)
server.serve_forever()
