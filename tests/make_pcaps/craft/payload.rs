//! Small, well-formed messages of the protocols that a logon uses. DCE/RPC has its own file.
//!
//! Each function gives the bytes after the TCP or UDP header.

use std::net::IpAddr;

use crate::craft::ber::enumerated;
use crate::craft::ber::general;
use crate::craft::ber::int;
use crate::craft::ber::octets;
use crate::craft::ber::seq;
use crate::craft::ber::tlv;
use crate::craft::host::Host;

/// The domain that all scenes play in.
pub(crate) const DOMAIN: &str = "corp.example";
const REALM: &str = "CORP.EXAMPLE";

/// A DNS question (RFC 1035); `kind` is 1 for A, 33 for SRV.
pub(crate) fn dns_query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    dns(id, 0x0100, 0, name, kind, &[])
}

/// An answer with one address.
pub(crate) fn dns_a(id: u16, name: &str, host: &Host) -> Vec<u8> {
    let IpAddr::V4(addr) = host.addr else { unreachable!("an A record holds IPv4") };
    dns(id, 0x8580, 1, name, 1, &addr.octets())
}

/// An answer with one SRV record (RFC 2782).
pub(crate) fn dns_srv(id: u16, name: &str, target: &str, port: u16) -> Vec<u8> {
    let mut data = vec![0, 0, 0, 100];
    data.extend(port.to_be_bytes());
    data.extend(dns_name(target));
    dns(id, 0x8580, 1, name, 33, &data)
}

/// An answer that does not fit into a datagram: TC bit set, no records.
pub(crate) fn dns_truncated(id: u16, name: &str, kind: u16) -> Vec<u8> {
    dns(id, 0x8780, 0, name, kind, &[])
}

fn dns(id: u16, flags: u16, answers: u16, name: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [id, flags, 1, answers, 0, 0] {
        out.extend(word.to_be_bytes());
    }
    out.extend(dns_name(name));
    out.extend(kind.to_be_bytes());
    out.extend([0, 1]);
    if answers > 0 {
        // The owner is a pointer to the question's name.
        out.extend([0xc0, 0x0c]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 2, 0x58]);
        out.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        out.extend(data);
    }
    out
}

fn dns_name(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}

/// A message over TCP with DNS' two-byte length before it.
pub(crate) fn dns_over_tcp(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// The question of a Windows time client (NTP version 3, mode 3).
pub(crate) fn ntp_client() -> Vec<u8> {
    ntp(0x1b, 0, 0)
}

/// The answer of a time server (mode 4, stratum 2).
pub(crate) fn ntp_server() -> Vec<u8> {
    ntp(0x1c, 2, 0xed05_fc10)
}

fn ntp(first: u8, stratum: u8, seconds: u32) -> Vec<u8> {
    let mut out = vec![first, stratum, 6, 0xe9];
    out.resize(40, 0);
    // 0xed05fc10 is 2026-01-05T09:00:00Z in NTP's seconds since 1900.
    out.extend(if seconds == 0 { 0xed05_fc10_u32 } else { seconds }.to_be_bytes());
    out.extend([0; 4]);
    out
}

/// Search of the root of the directory for its naming context (RFC 4511).
pub(crate) fn ldap_search(id: u32) -> Vec<u8> {
    let filter = tlv(0x87, &[b"objectClass"]);
    ldap_query(id, &filter, "defaultNamingContext")
}

/// Its one entry and the end of the search.
pub(crate) fn ldap_found(id: u32) -> Vec<u8> {
    ldap_answer(id, "defaultNamingContext", b"DC=corp,DC=example")
}

/// A search whose filter holds so many bytes, for a message that fills its segment.
pub(crate) fn ldap_large_search(id: u32, len: usize) -> Vec<u8> {
    let filter = tlv(0xa3, &[&octets(b"description"), &octets(&vec![b'x'; len])]);
    ldap_query(id, &filter, "cn")
}

/// The netlogon ping (MS-ADTS 6.3.3), which goes over UDP.
pub(crate) fn cldap_ping(id: u32) -> Vec<u8> {
    let equal = |name: &str, value: &[u8]| tlv(0xa3, &[&octets(name.as_bytes()), &octets(value)]);
    let filter = tlv(0xa0, &[&equal("DnsDomain", DOMAIN.as_bytes()), &equal("NtVer", &[0x16, 0, 0, 0])]);
    ldap_query(id, &filter, "Netlogon")
}

/// The answer of the controller DC1: a `NETLOGON_SAM_LOGON_RESPONSE_EX` (MS-ADTS 6.3.1.9).
pub(crate) fn cldap_pong(id: u32) -> Vec<u8> {
    cldap_pong_named(id, "corp.example", "dc1.corp.example", "DC1")
}

/// The same by a controller that goes by these names.
pub(crate) fn cldap_pong_named(id: u32, domain: &str, host: &str, short: &str) -> Vec<u8> {
    let mut value = vec![23, 0, 0, 0];
    value.extend(0x0000_f3fd_u32.to_le_bytes());
    value.extend([0x51; 16]);
    for name in [domain, domain, host, "CORP", short, "", "HQ", "HQ"] {
        if name.is_empty() {
            value.push(0);
        } else {
            value.extend(dns_name(name));
        }
    }
    value.extend([5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    ldap_answer(id, "Netlogon", &value)
}

/// A search below this name, and the server's refusal with this explanation.
pub(crate) fn ldap_refused(id: u32, base: &str, explanation: &str) -> (Vec<u8>, Vec<u8>) {
    let (zero, no, scope) = (int(0), tlv(0x01, &[&[0]]), enumerated(0));
    let filter = tlv(0x87, &[base.as_bytes()]);
    let base = octets(base.as_bytes());
    let wanted = seq(&[&octets(b"cn")]);
    let search = seq(&[&int(id), &tlv(0x63, &[&base, &scope, &scope, &zero, &zero, &no, &filter, &wanted])]);
    let done = tlv(0x65, &[&enumerated(32), &base, &octets(explanation.as_bytes())]);
    (search, seq(&[&int(id), &done]))
}

/// A `ClientHello` of TLS 1.2 (RFC 5246 section 7.4.1.2) for a server of this name (RFC 6066 section 3).
pub(crate) fn tls_hello(name: &str) -> Vec<u8> {
    let long = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let names = long(&[&[0][..], &long(name.as_bytes())].concat());
    let extensions = long(&[&[0, 0][..], &long(&names)].concat());
    let body = [&[3, 3][..], &[0x33; 32], &[0], &[0, 2, 0xc0, 0x2f], &[1, 0], &extensions].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let handshake = [&[1][..], &length[1..], &body].concat();
    [&[22, 3, 1][..], &long(&handshake)].concat()
}

fn ldap_query(id: u32, filter: &[u8], attribute: &str) -> Vec<u8> {
    let (zero, no) = (int(0), tlv(0x01, &[&[0]]));
    let wanted = seq(&[&octets(attribute.as_bytes())]);
    let base = octets(b"");
    let scope = enumerated(0);
    seq(&[&int(id), &tlv(0x63, &[&base, &scope, &scope, &zero, &zero, &no, filter, &wanted])])
}

fn ldap_answer(id: u32, attribute: &str, value: &[u8]) -> Vec<u8> {
    let values = tlv(0x31, &[&octets(value)]);
    let attributes = seq(&[&seq(&[&octets(attribute.as_bytes()), &values])]);
    let entry = seq(&[&int(id), &tlv(0x64, &[&octets(b""), &attributes])]);
    let done = seq(&[&int(id), &tlv(0x65, &[&enumerated(0), &octets(b""), &octets(b"")])]);
    [entry, done].concat()
}

/// AS-REQ for the user `alice` (RFC 4120 section 5.4.1).
pub(crate) fn kerberos_as_req() -> Vec<u8> {
    let options = tlv(0x03, &[&[0, 0x40, 0x81, 0x00, 0x10]]);
    let body = seq(&[
        &tlv(0xa0, &[&options]),
        &tlv(0xa1, &[&principal(1, &["alice"])]),
        &tlv(0xa2, &[&general(REALM)]),
        &tlv(0xa3, &[&principal(2, &["krbtgt", REALM])]),
        &tlv(0xa5, &[&tlv(0x18, &[b"20370913024805Z"])]),
        &tlv(0xa7, &[&int(0x0102_0304)]),
        &tlv(0xa8, &[&seq(&[&int(18), &int(17)])]),
    ]);
    tlv(0x6a, &[&seq(&[&tlv(0xa1, &[&int(5)]), &tlv(0xa2, &[&int(10)]), &tlv(0xa4, &[&body])])])
}

/// AS-REP with an opaque ticket.
pub(crate) fn kerberos_as_rep() -> Vec<u8> {
    let sealed = seq(&[&tlv(0xa0, &[&int(18)]), &tlv(0xa2, &[&octets(&[0x5a; 48])])]);
    let ticket = seq(&[
        &tlv(0xa0, &[&int(5)]),
        &tlv(0xa1, &[&general(REALM)]),
        &tlv(0xa2, &[&principal(2, &["krbtgt", REALM])]),
        &tlv(0xa3, &[&sealed]),
    ]);
    let reply = seq(&[
        &tlv(0xa0, &[&int(5)]),
        &tlv(0xa1, &[&int(11)]),
        &tlv(0xa3, &[&general(REALM)]),
        &tlv(0xa4, &[&principal(1, &["alice"])]),
        &tlv(0xa5, &[&tlv(0x61, &[&ticket])]),
        &tlv(0xa6, &[&sealed]),
    ]);
    tlv(0x6b, &[&reply])
}

/// KRB-ERROR with the code given: 25 asks for pre-authentication, 52 says the reply is too big for UDP.
pub(crate) fn kerberos_error(code: u32) -> Vec<u8> {
    let error = seq(&[
        &tlv(0xa0, &[&int(5)]),
        &tlv(0xa1, &[&int(30)]),
        &tlv(0xa4, &[&tlv(0x18, &[b"20260105090000Z"])]),
        &tlv(0xa5, &[&int(1000)]),
        &tlv(0xa6, &[&int(code)]),
        &tlv(0xa9, &[&general(REALM)]),
        &tlv(0xaa, &[&principal(2, &["krbtgt", REALM])]),
    ]);
    tlv(0x7e, &[&error])
}

fn principal(kind: u32, names: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|name| general(name)).collect();
    seq(&[&tlv(0xa0, &[&int(kind)]), &tlv(0xa1, &[&seq(&[&names])])])
}

/// A message with the four-byte length that Kerberos over TCP and `NetBIOS` over TCP put before it.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// SMB2 NEGOTIATE request for dialects 2.0.2 and 2.1 (MS-SMB2 2.2.3), in its `NetBIOS` frame.
pub(crate) fn smb_negotiate() -> Vec<u8> {
    let mut out = smb_header(0);
    out.extend([36, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    out.extend([0x11; 16]);
    out.extend([0; 8]);
    out.extend([0x02, 0x02, 0x10, 0x02]);
    framed(&out)
}

/// The response that chooses 2.1 (MS-SMB2 2.2.4).
pub(crate) fn smb_negotiated() -> Vec<u8> {
    let mut out = smb_header(1);
    out.extend([65, 0, 1, 0, 0x10, 0x02, 0, 0]);
    out.extend([0x22; 16]);
    for word in [7_u32, 0x0010_0000, 0x0010_0000, 0x0010_0000] {
        out.extend(word.to_le_bytes());
    }
    // 2026-01-05T09:00:00Z as FILETIME, then no boot time.
    out.extend(0x01dc_7e21_ac0f_a800_u64.to_le_bytes());
    out.extend([0; 8]);
    out.extend([128, 0, 0, 0, 0, 0, 0, 0]);
    framed(&out)
}

fn smb_header(flags: u8) -> Vec<u8> {
    let mut out = vec![0xfe, b'S', b'M', b'B', 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, flags, 0, 0, 0];
    out.resize(64, 0);
    out
}

/// The first request of `WinRM`.
pub(crate) const WSMAN: &[u8] =
    b"POST /wsman HTTP/1.1\r\nHost: srv1.corp.example:5985\r\nContent-Length: 0\r\nAuthorization: Negotiate\r\n\r\n";
/// The server asks for authentication.
pub(crate) const WSMAN_401: &[u8] =
    b"HTTP/1.1 401 \r\nServer: Microsoft-HTTPAPI/2.0\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n";
/// A telnet server negotiates and greets (RFC 854).
pub(crate) const TELNET_HELLO: &[u8] = b"\xff\xfd\x18\xff\xfd\x1f\r\nlogin: ";
/// A telnet client agrees.
pub(crate) const TELNET_REPLY: &[u8] = b"\xff\xfb\x18\xff\xfb\x1f";
/// A plain web request.
pub(crate) const HTTP_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: app.corp.example\r\n\r\n";
/// A plain web answer.
pub(crate) const HTTP_OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// An SSH client's first line.
pub(crate) const SSH_CLIENT: &[u8] = b"SSH-2.0-OpenSSH_9.2\r\n";
/// An SSH server's first line.
pub(crate) const SSH_SERVER: &[u8] = b"SSH-2.0-OpenSSH_9.6\r\n";
