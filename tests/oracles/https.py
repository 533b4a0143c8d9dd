#!/usr/bin/env python3
"""Encrypted endpoints, as `cargo test --test client` cannot make them: a TLS server and a proxy of Python's, certificates of
openssl's, and our client against them: trusted, not trusted, under another name, and through a proxy.

    https.py

Refuses to know the vendor's network: everything is on this machine.
"""

import os
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "trtc.test.invalid"
ANSWER = b'{"Response":{"Status":"InProgress","RequestId":"r"}}'


def openssl(*arguments, folder):
    subprocess.run(["openssl", *arguments], check=True, cwd=folder, stderr=subprocess.DEVNULL)


def certificates(folder):
    """An authority, and a server's certificate under it for NAME and localhost."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ingestd test authority", folder=folder)
    openssl("req", *key[:-2], "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={NAME}", folder=folder)
    names = Path(folder, "names")
    names.write_text(f"subjectAltName=DNS:{NAME},DNS:localhost\nbasicConstraints=CA:FALSE\n")
    sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
    openssl(*sign, "-extfile", "names", "-out", "server.pem", folder=folder)


def listen(treat):
    """A port of the loopback, each connection in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=treat, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def head(connection):
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(4096)
        if not chunk:
            return None
        received += chunk
    return received


def server(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(folder, "server.pem"), Path(folder, "server.key"))

    def treat(connection):
        try:
            with context.wrap_socket(connection, server_side=True) as encrypted:
                # The body is short and comes with the head or right behind it; what is left of it ends with the connection.
                if head(encrypted):
                    encrypted.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
                    while encrypted.recv(4096):
                        pass
        except OSError:
            pass  # A client that does not trust us hangs up: that is one of the cases.

    return listen(treat)


def proxy(target, asked):
    def pump(source, sink):
        try:
            while chunk := source.recv(4096):
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def treat(connection):
        request = head(connection)
        if not request:
            return
        asked.append(request.split(b"\r\n")[0].decode())
        beyond = socket.create_connection(("127.0.0.1", target))
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=pump, args=(connection, beyond), daemon=True).start()
        pump(beyond, connection)

    return listen(treat)


def check(what, endpoint, expected, **environment):
    plain = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy") and name != "SSL_CERT_DIR"}
    command = ["cargo", "test", "--quiet", "--test", "client", "an_encrypted_endpoint"]
    variables = {"INGESTD_HTTPS_ENDPOINT": endpoint, "INGESTD_HTTPS_EXPECTED": expected, **environment}
    done = subprocess.run(command, cwd=ROOT, env={**plain, **variables}, capture_output=True, text=True)
    if done.returncode != 0 or "1 passed" not in done.stdout:
        raise SystemExit(f"{what}: not {expected}\n{done.stdout}{done.stderr}")
    print(f"{what}: {expected}", flush=True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        certificates(folder)
        trusted, port, asked = {"SSL_CERT_FILE": str(Path(folder, "ca.pem"))}, server(folder), []
        through = f"http://127.0.0.1:{proxy(port, asked)}"
        check("an authority that the host trusts", f"https://localhost:{port}", "answer", **trusted)
        check("an authority that it does not", f"https://localhost:{port}", "connect")
        check("a name that the certificate lacks", f"https://127.0.0.1:{port}", "connect", **trusted)
        check("a proxy, for a loopback endpoint", f"https://localhost:{port}", "answer", HTTPS_PROXY=through, **trusted)
        assert asked == [], asked
        check("a proxy, for another", f"https://{NAME}", "answer", HTTPS_PROXY=through, **trusted)
        assert asked == [f"CONNECT {NAME}:443 HTTP/1.1"], asked


if __name__ == "__main__":
    main()
