"""A rotation command that starts in a moment: it asks the embedded tenant for a new secret, and prints it.

    python -I -S rotating.py ADMIN_FILE KEY [SECONDS_THAT_THE_OLD_SECRET_LIVES]

``sandbox-rotate`` does the same for people; it takes half a second to start, and tests rotate by the dozen.
"""

import socket
import sys

with open(sys.argv[1], encoding="ascii") as file:  # noqa: PTH123 - pathlib takes longer to import than the rest to run
    url, token = file.read().split()
host, _, port = url.split("/")[2].partition(":")
body = f'{{"old_alive_s": {(sys.argv[3:] or ["0"])[0]}}}'
lines = [
    f"POST /sandbox/keys/{sys.argv[2]}/rotate HTTP/1.1",
    f"Host: {host}:{port}",
    f"Authorization: Bearer {token}",
    "Content-Type: application/json",
    f"Content-Length: {len(body)}",
    "Connection: close",
]
answer = b""
with socket.create_connection((host, int(port))) as connection:
    connection.sendall(("\r\n".join([*lines, "", body])).encode())
    while piece := connection.recv(4096):
        answer += piece
head, _, secret = answer.decode().partition("\r\n\r\n")
if " 200 " not in head.partition("\r\n")[0]:
    sys.exit(f"the embedded tenant did not rotate the key: {head}")
sys.stdout.write(secret.strip() + "\n")
