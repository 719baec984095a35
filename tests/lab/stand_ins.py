#!/usr/bin/python3
"""Small services for what Samba has not, over IPv4 and IPv6.

    stand_ins.py KIND:PORT...

    wsman   HTTP that answers 401 with Negotiate and Kerberos, as WinRM answers first
    http    HTTP 200
    ssh     a banner
    telnet  negotiation and login
    smtp    greeting and replies
    adws    answers the preamble of .NET framing
    ntp     answers over UDP, stratum 3
"""

import socket
import struct
import sys
import threading
import time

WSMAN = (
    b"HTTP/1.1 401 \r\nServer: Microsoft-HTTPAPI/2.0\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Kerberos\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n"
)
HTTP = b"HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 19\r\nConnection: close\r\n\r\n<html>hello</html>\n"
NTP_EPOCH = 2_208_988_800


def request(connection):
    """Reads an HTTP request to its end."""
    text = b""
    while b"\r\n\r\n" not in text:
        text += connection.recv(4096) or b"\r\n\r\n"
    head, body = text.split(b"\r\n\r\n", 1)
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.split(b":")[1]):
                body += connection.recv(4096)


def wsman(connection):
    request(connection)
    connection.sendall(WSMAN)


def http(connection):
    request(connection)
    connection.sendall(HTTP)


def ssh(connection):
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    connection.recv(256)
    time.sleep(0.2)


def telnet(connection):
    connection.sendall(b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27")
    connection.recv(64)
    connection.sendall(b"Debian GNU/Linux 12\r\nlogin: ")
    connection.recv(64)


def smtp(connection):
    connection.sendall(b"220 srv1.lab.test Microsoft ESMTP MAIL Service ready\r\n")
    while line := connection.recv(512).upper():
        if line.startswith(b"EHLO"):
            connection.sendall(b"250-srv1.lab.test Hello\r\n250-STARTTLS\r\n250 X-EXPS GSSAPI NTLM\r\n")
        elif line.startswith(b"QUIT"):
            connection.sendall(b"221 2.0.0 Bye\r\n")
            return
        else:
            connection.sendall(b"250 2.1.0 OK\r\n")


def adws(connection):
    if connection.recv(512):
        connection.sendall(b"\x0b")
        connection.recv(64)


def serve(speak, connection):
    connection.settimeout(15)
    with connection:
        try:
            speak(connection)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def listen(speak, port):
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve, args=(speak, connection), daemon=True).start()


def ntp(port, family):
    server = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    while True:
        asked, client = server.recvfrom(512)
        if len(asked) < 48:
            continue
        moment = time.time() + NTP_EPOCH
        now = struct.pack("!II", int(moment), int(moment % 1 * 2**32))
        head = bytes([asked[0] & 0x38 | 4, 3, asked[2], 0xEC]) + b"\0\0\1\0" + b"\0\0\2\0" + b"LOCL"
        server.sendto(head + now + asked[40:48] + now + now, client)


SPEAKERS = {"wsman": wsman, "http": http, "ssh": ssh, "telnet": telnet, "smtp": smtp, "adws": adws}

if __name__ == "__main__":
    for service in sys.argv[1:]:
        kind, port = service.split(":")
        if kind == "ntp":
            for family in (socket.AF_INET, socket.AF_INET6):
                threading.Thread(target=ntp, args=(int(port), family)).start()
        else:
            threading.Thread(target=listen, args=(SPEAKERS[kind], int(port))).start()
