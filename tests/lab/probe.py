#!/usr/bin/python3
"""One small action of a client; prints what the client saw as one line of JSON.

    probe.py tcp ADDRESS PORT [TEXT]     connects, for 3.5 s: a SYN and its repeats; sends TEXT, reads once
    probe.py patient ADDRESS PORT        the same, for 9 s
    probe.py hold ADDRESS PORT SECONDS   connects, and asks LDAP's root entry every half second for that long
    probe.py cldap ADDRESS               the locator's datagram
    probe.py ntp ADDRESS                 asks for the time
    probe.py samr|lsa|nrpc|drs ADDRESS USER PASSWORD    asks the endpoint mapper, then binds and calls at the port
    probe.py mapper ADDRESS              lists everything that the endpoint mapper has
"""

import errno
import json
import socket
import struct
import sys
import time

NTP_EPOCH = 2_208_988_800
# An LDAP search of the root entry for objectClass.
ROOT_ENTRY = bytes.fromhex("3025020101632004000a01000a0100020100020100010100870b6f626a656374636c6173733000")


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def said(error):
    return errno.errorcode.get(error.errno, str(error))


def tcp(address, port, text=None, seconds=3.5):
    connection = socket.socket(family(address))
    connection.settimeout(seconds)
    try:
        connection.connect((address, int(port)))
    except TimeoutError:
        return {"saw": "timeout"}
    except OSError as error:
        return {"saw": said(error)}
    answer = b""
    with connection:
        if text is not None:
            connection.settimeout(3)
            try:
                connection.sendall(text.encode().decode("unicode_escape").encode("latin1"))
                answer = connection.recv(512)
            except OSError as error:
                answer = str(error).encode()
    return {"saw": "open", "data": answer[:80].decode("latin1")}


def patient(address, port):
    return tcp(address, port, seconds=9)


def hold(address, port, seconds):
    connection = socket.create_connection((address, int(port)), timeout=3.5)
    until, answers, silences = time.monotonic() + float(seconds), 0, 0
    connection.settimeout(0.5)
    while time.monotonic() < until:
        try:
            connection.sendall(ROOT_ENTRY)
            if not connection.recv(65536):
                return {"saw": "closed", "answers": answers}
            answers += 1
        except TimeoutError:
            silences += 1
        except OSError as error:
            return {"saw": said(error), "answers": answers}
        time.sleep(0.5)
    return {"saw": "open", "answers": answers, "silences": silences}


def datagram(address, port, data):
    with socket.socket(family(address), socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect((address, port))
        try:
            client.send(data)
            return {"saw": "answer", "bytes": len(client.recv(4096))}
        except TimeoutError:
            return {"saw": "timeout"}
        except OSError as error:
            return {"saw": said(error)}


def ber(tag, body):
    length = bytes([len(body)]) if len(body) < 128 else b"\x82" + struct.pack("!H", len(body))
    return bytes([tag]) + length + body


def cldap(address):
    def equal(name, value):
        return ber(0xA3, ber(4, name) + ber(4, value))

    wanted = equal(b"DnsDomain", b"lab.test") + equal(b"Host", b"CLIENT1") + equal(b"NtVer", b"\x16\0\0\0")
    limits = ber(10, b"\0") + ber(10, b"\0") + ber(2, b"\0") + ber(2, b"\0") + ber(1, b"\0")
    search = ber(0x63, ber(4, b"") + limits + ber(0xA0, wanted) + ber(0x30, ber(4, b"netlogon")))
    return datagram(address, 389, ber(0x30, ber(2, b"\1") + search))


def ntp(address):
    return datagram(address, 123, b"\x1b" + bytes(39) + struct.pack("!II", int(time.time()) + NTP_EPOCH, 0))


def mapper(address):
    from impacket.dcerpc.v5 import epm
    from impacket.dcerpc.v5 import transport

    try:
        way = transport.DCERPCTransportFactory(f"ncacn_ip_tcp:{address}[135]")
        way.set_connect_timeout(4)
        call = way.get_dce_rpc()
        call.connect()
        call.bind(epm.MSRPC_UUID_PORTMAP)
        # One call for everything: the library's own loop falls over Samba's word for "no more".
        ask = epm.ept_lookup()
        ask["inquiry_type"] = 0
        ask["object"] = epm.NULL
        ask["Ifid"] = epm.NULL
        ask["vers_option"] = 1
        ask["max_ents"] = 1000
        entries = call.request(ask)["entries"]
        towers = [epm.EPMTower(b"".join(entry["tower"]["tower_octet_string"])) for entry in entries]
        bindings = [epm.PrintStringBinding(tower["Floors"]) for tower in towers]
        ports = {text.split("[")[1].rstrip("]") for text in bindings if text.startswith("ncacn_ip_tcp")}
        return {"saw": "ok", "entries": len(bindings), "tcp_ports": sorted(ports)}
    except Exception as error:  # noqa: BLE001 - what the library raises is what the client saw
        return {"saw": f"{type(error).__name__}: {str(error)[:80]}"}


def rpc(what, address, user="", password=""):
    from impacket.dcerpc.v5 import drsuapi
    from impacket.dcerpc.v5 import epm
    from impacket.dcerpc.v5 import lsad
    from impacket.dcerpc.v5 import nrpc
    from impacket.dcerpc.v5 import samr
    from impacket.dcerpc.v5 import transport
    from impacket.dcerpc.v5.rpcrt import RPC_C_AUTHN_LEVEL_PKT_PRIVACY

    interfaces = {
        "samr": samr.MSRPC_UUID_SAMR,
        "lsa": lsad.MSRPC_UUID_LSAD,
        "nrpc": nrpc.MSRPC_UUID_NRPC,
        "drs": drsuapi.MSRPC_UUID_DRSUAPI,
    }
    interface = interfaces[what]
    stage, binding = "epm", None
    try:
        binding = epm.hept_map(address, interface, protocol="ncacn_ip_tcp")
        stage = "dyn"
        way = transport.DCERPCTransportFactory(binding)
        way.set_connect_timeout(4)
        if what != "nrpc":
            way.set_credentials(user, password, "LAB")
        call = way.get_dce_rpc()
        if what == "drs":
            call.set_auth_level(RPC_C_AUTHN_LEVEL_PKT_PRIVACY)
        call.connect()
        call.bind(interface)
        stage = "call"
        if what == "samr":
            samr.hSamrEnumerateDomainsInSamServer(call, samr.hSamrConnect(call)["ServerHandle"])
        elif what == "lsa":
            lsad.hLsarOpenPolicy2(call, 0x02000000)
        elif what == "nrpc":
            nrpc.hNetrServerReqChallenge(call, "\0", "X\0", b"12345678")
        call.disconnect()
        return {"saw": "ok", "port": int(binding.split("[")[-1].rstrip("]"))}
    except Exception as error:  # noqa: BLE001 - what the library raises is what the client saw
        return {"saw": f"{type(error).__name__}: {str(error)[:80]}", "stage": stage, "binding": binding}


ACTIONS = {"tcp": tcp, "patient": patient, "hold": hold, "cldap": cldap, "ntp": ntp, "mapper": mapper}

if __name__ == "__main__":
    what, address, *rest = sys.argv[1:]
    begun = time.monotonic()
    if what in ACTIONS:
        result = ACTIONS[what](address, *rest)
    else:
        result = rpc(what, address, *rest)
    print(json.dumps({"act": what, "dst": address, **result, "ms": int((time.monotonic() - begun) * 1000)}))
