"""The real libpq against the few messages of PostgreSQL's wire protocol (version 3) that one statement needs."""

import socket
import struct
import threading

from common import instrument, report

instrument("psycopg2")
import psycopg2  # noqa: E402

PROTOCOL_3 = 196608
SETTINGS = {b"server_version": b"16.0", b"client_encoding": b"UTF8", b"standard_conforming_strings": b"on", b"DateStyle": b"ISO"}


def message(kind, body=b""):
    return kind + struct.pack("!i", len(body) + 4) + body


def serve(listening):
    peer, _ = listening.accept()
    stream = peer.makefile("rwb")

    def answer(*messages):
        stream.write(b"".join(messages))
        stream.flush()

    while True:
        length, code = struct.unpack("!ii", stream.read(8))
        stream.read(length - 8)
        if code == PROTOCOL_3:
            break
        answer(b"N")
    settings = [message(b"S", name + b"\0" + value + b"\0") for name, value in SETTINGS.items()]
    answer(message(b"R", struct.pack("!i", 0)), *settings, message(b"Z", b"I"))
    while stream.read(1) == b"Q":
        (length,) = struct.unpack("!i", stream.read(4))
        tag = b"BEGIN\0" if stream.read(length - 4).startswith(b"BEGIN") else b"DELETE 0\0"
        answer(message(b"C", tag), message(b"Z", b"T"))


listening = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listening,), daemon=True).start()
port = listening.getsockname()[1]
connection = psycopg2.connect(host="127.0.0.1", port=port, user="shop", dbname="shop", sslmode="disable", gssencmode="disable")
with connection.cursor() as cursor:
    cursor.execute("DELETE FROM orders")
report()
