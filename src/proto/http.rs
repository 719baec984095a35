//! HTTP/1 (RFC 9112): request line and status line, and what both ends of HTTP/2 begin with on a plain connection
//! (RFC 9113 section 3.4); readers of the request head.
//!
//! Other protocols have lines of the same shape (SIP, RTSP, SSDP): only the version at the end of a request line tells.
//! It must never know what is asked for, but for the two Windows uses that documents name: WS-Management and RPC over
//! HTTP.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::Read;
use crate::proto::cursor::answer;
use crate::proto::cursor::must;
use crate::proto::text::first_line;
use crate::proto::text::is_text;

/// The methods in use: RFC 9110, HTTP/2's preface, `WebDAV` (RFC 4918, RFC 3253, RFC 3744), and what Exchange, RPC over
/// HTTP (MS-RPCH), BITS, Configuration Manager and `UPnP` add. Another one is only likely: any word could stand there.
const METHODS: &[&str] = &[
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "SEARCH",
    "REPORT",
    "ACL",
    "MERGE",
    "VERSION-CONTROL",
    "BCOPY",
    "BDELETE",
    "BMOVE",
    "BPROPFIND",
    "BPROPPATCH",
    "POLL",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "NOTIFY",
    "X-MS-ENUMATTS",
    "RPC_CONNECT",
    "RPC_IN_DATA",
    "RPC_OUT_DATA",
    "BITS_POST",
    "CCM_POST",
];

/// No method in use is longer.
const METHOD_MAX: usize = 32;

/// Says whether these bytes begin a direction of HTTP.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    match bytes {
        [] => Recognition::NeedMore,
        [0, ..] => answer(settings(bytes)),
        [b'H', b'T', b'T', b'P', b'/', ..] => answer(status_line(bytes)),
        _ => request_line(bytes),
    }
}

/// "HTTP/1.1 200 ".
fn status_line(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    cursor.literal(b"HTTP/1.")?;
    must(matches!(cursor.u8()?, b'0' | b'1'))?;
    cursor.literal(b" ")?;
    must(matches!(cursor.u8()?, b'1'..=b'9'))?;
    must(cursor.array::<2>()?.iter().all(u8::is_ascii_digit))?;
    must(matches!(cursor.u8()?, b' ' | b'\r' | b'\n'))?;
    Ok(Recognition::Certain(Speaker::Server))
}

fn request_line(bytes: &[u8]) -> Recognition {
    let (line, ended) = first_line(bytes);
    let method_end = line.iter().position(|byte| *byte == b' ');
    let (method, target) = line.split_at(method_end.unwrap_or(line.len()));
    let is_method = method.len() <= METHOD_MAX && method.iter().all(|b| matches!(b, b'A'..=b'Z' | b'-' | b'_'));
    if !is_method || method.is_empty() || !is_text(target) {
        return Recognition::NotForUs;
    }
    let known = METHODS.iter().any(|known| known.as_bytes() == method);
    match (ended, known) {
        (true, _) if !has_version(line) => Recognition::NotForUs,
        (true, true) => Recognition::Certain(Speaker::Client),
        (true, false) => Recognition::Likely(Speaker::Client),
        (false, true) if target.starts_with(b" /") => Recognition::Likely(Speaker::Client),
        (false, _) => Recognition::NeedMore,
    }
}

/// Whether a request line ends with a version; HTTP/2.0 stands only in its preface.
fn has_version(line: &[u8]) -> bool {
    line == b"PRI * HTTP/2.0" || line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0")
}

/// The SETTINGS frame of an HTTP/2 server (RFC 9113 section 6.5), which begins its direction.
fn settings(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    let length = cursor.be24()?;
    must(length % 6 == 0 && length <= 6 * 32)?;
    cursor.literal(&[4, 0, 0, 0, 0, 0])?;
    if length == 0 {
        return Ok(Recognition::Likely(Speaker::Server));
    }
    must((1..=9).contains(&cursor.be16()?))?;
    Ok(Recognition::Certain(Speaker::Server))
}

/// The head of a request, as far as it was captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// GET, POST, …
    pub method: &'a str,
    /// The target as written: a path, or a whole URI.
    pub target: &'a str,
    /// The value of the Host header, with the port if it names one. Printable ASCII only.
    pub host: Option<&'a str>,
}

/// Reads the head of the request that these first bytes of a client hold. `None` before the request line is whole, and
/// for responses.
pub fn request(bytes: &[u8]) -> Option<Request<'_>> {
    if request_line(bytes) != Recognition::Certain(Speaker::Client) {
        return None;
    }
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let mut words = first_line(lines.next()?).0.split(|byte| *byte == b' ');
    let text = |word| std::str::from_utf8(word).ok();
    let (method, target) = (text(words.next()?)?, text(words.next()?)?);
    // A line that does not end was cut, and so was its value.
    let whole = lines.map_while(|line| line.strip_suffix(b"\n")).take_while(|line| !line.trim_ascii().is_empty());
    let host = whole.filter_map(|line| line.split_at_checked(5)).find(|(name, _)| name.eq_ignore_ascii_case(b"host:"));
    let host = host.and_then(|(_, value)| std::str::from_utf8(value.trim_ascii()).ok());
    let host = host.filter(|host| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()));
    Some(Request { method, target, host })
}

impl Request<'_> {
    /// Whether the target is the path of WS-Management, which `WinRM` and event forwarding use (MS-WSMV section 2.1).
    pub fn is_ws_management(&self) -> bool {
        let Some((path, rest)) = self.path().split_at_checked("/wsman".len()) else { return false };
        path.eq_ignore_ascii_case("/wsman") && (rest.is_empty() || rest.starts_with(['/', '?']))
    }

    /// Whether the request opens a channel of RPC over HTTP version 2 (MS-RPCH section 2.1.2.1).
    pub fn is_rpc_channel(&self) -> bool {
        matches!(self.method, "RPC_IN_DATA" | "RPC_OUT_DATA")
    }

    /// The target without scheme and authority.
    fn path(&self) -> &str {
        match self.target.split_once("://") {
            Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
            None => self.target,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;

    fn say(text: &str) -> Recognition {
        recognise(Transport::Tcp, text.as_bytes())
    }

    #[test]
    fn requests_need_their_version() {
        assert_eq!(say("GET / HTTP/1.1\r\n"), Recognition::Certain(Speaker::Client));
        assert_eq!(say("BITS_POST /x HTTP/1.0\n"), Recognition::Certain(Speaker::Client));
        assert_eq!(say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Recognition::Certain(Speaker::Client));
        assert_eq!(say("GET /long"), Recognition::Likely(Speaker::Client));
        for start in ["G", "GET", "GET ", "USER x", "OPTIONS sip:a"] {
            assert_eq!(say(start), Recognition::NeedMore, "{start}");
        }
        let strangers =
            ["get / HTTP/1.1\r\n", "OPTIONS sip:a SIP/2.0\r\n", "USER x\r\n", "GET \0", "\r\n", "GET / HTTP/2.0\r\n"];
        for stranger in strangers {
            assert_eq!(say(stranger), Recognition::NotForUs, "{stranger}");
        }
    }

    #[test]
    fn responses_need_their_code() {
        assert_eq!(say("HTTP/1.1 401 Unauthorized\r\n"), Recognition::Certain(Speaker::Server));
        assert_eq!(say("HTTP/1.0 200\r\n"), Recognition::Certain(Speaker::Server));
        assert_eq!(say("HTTP"), Recognition::NeedMore);
        assert_eq!(say("HTTP/1.1 40"), Recognition::NeedMore);
        assert_eq!(say("HTTP/1.1 abc"), Recognition::NotForUs);
        assert_eq!(say("HTTPS/1.1 200 "), Recognition::NotForUs);
    }

    #[test]
    fn a_server_of_http_2_begins_with_settings() {
        let one = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100];
        assert_eq!(recognise(Transport::Tcp, &one), Recognition::Certain(Speaker::Server));
        let none = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        assert_eq!(recognise(Transport::Tcp, &none), Recognition::Likely(Speaker::Server));
        assert_eq!(recognise(Transport::Tcp, &[0, 0, 7, 4]), Recognition::NotForUs);
    }

    #[test]
    fn a_method_that_nobody_knows_is_only_likely() {
        assert_eq!(say("EHLO x HTTP/1.1\r\n"), Recognition::Likely(Speaker::Client));
    }

    #[test]
    fn a_request_tells_its_host_and_use() {
        let text =
            b"POST /wsman?PSVersion=5 HTTP/1.1\r\nAccept: */*\r\nhOST: srv1.corp.example:5985\r\n\r\nHost: no\r\n";
        let head = request(text).unwrap();
        assert_eq!((head.method, head.host), ("POST", Some("srv1.corp.example:5985")));
        assert!(head.is_ws_management() && !head.is_rpc_channel());
        // A cut value could be another host's name.
        assert_eq!(request(&text[..66]).unwrap().host, None);
        assert_eq!(request(&text[..20]), None);
        let absolute = request(b"GET http://a/wsman/x HTTP/1.1\r\n").unwrap();
        assert!(absolute.is_ws_management() && absolute.host.is_none());
        assert!(!request(b"GET /wsmanual HTTP/1.1\r\n").unwrap().is_ws_management());
        assert!(request(b"RPC_IN_DATA /rpc/rpcproxy.dll?a:6001 HTTP/1.1\r\n").unwrap().is_rpc_channel());
    }
}
