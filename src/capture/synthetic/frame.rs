//! Writes one Ethernet frame with IPv4 or IPv6 and TCP or UDP, lengths and checksums right.

/// TCP's flags.
pub(super) const FIN: u8 = 1;
/// Begins a connection.
pub(super) const SYN: u8 = 2;
/// Ends it at once.
pub(super) const RST: u8 = 4;
/// Data, to be handed on at once.
pub(super) const PSH: u8 = 8;
/// The acknowledgement number counts.
pub(super) const ACK: u8 = 16;

/// Who talks with whom, and how the frames of both are built. Two-fold values: of the client, of the server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    /// IPv4 addresses, or the last four bytes of IPv6 addresses.
    pub(super) hosts: [u32; 2],
    pub(super) ports: [u16; 2],
    pub(super) datagrams: bool,
    pub(super) v6: bool,
    pub(super) tagged: bool,
}

/// What one end says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Segment<'a> {
    pub(super) from_server: bool,
    pub(super) flags: u8,
    /// Sequence and acknowledgement number.
    pub(super) numbers: [u32; 2],
    /// IPv4's identification.
    pub(super) ident: u16,
    pub(super) payload: &'a [u8],
}

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Replaces `frame` by this one, padded to `least` bytes.
pub(super) fn write(ends: &Ends, segment: &Segment<'_>, least: usize, frame: &mut Vec<u8>) {
    frame.clear();
    let [client, server] = [[2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]];
    let macs = if segment.from_server { [client, server] } else { [server, client] };
    frame.extend(macs.as_flattened());
    if ends.tagged {
        frame.extend([0x81, 0x00, 0, 100]);
    }
    let transport = transport(ends, segment);
    if ends.v6 {
        v6(ends, segment, &transport, frame);
    } else {
        v4(ends, segment, &transport, frame);
    }
    if frame.len() < least {
        frame.resize(least, 0);
    }
}

/// A pair as sender and receiver.
fn turned<T>([client, server]: [T; 2], from_server: bool) -> [T; 2] {
    if from_server { [server, client] } else { [client, server] }
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

fn v4(ends: &Ends, segment: &Segment<'_>, transport: &Transport, frame: &mut Vec<u8>) {
    let from_server = segment.from_server;
    let mut header = Vec::with_capacity(20);
    header.extend([0x45, 0]);
    header.extend(short(20 + transport.header.len() + segment.payload.len()));
    header.extend(segment.ident.to_be_bytes());
    header.extend([0x40, 0, if from_server { 128 } else { 127 }, transport.number, 0, 0]);
    let addresses = turned(ends.hosts, from_server).map(u32::to_be_bytes);
    header.extend(addresses.as_flattened());
    let sum = checksum(0, &[&header]);
    put(&mut header, 10, sum);
    frame.extend([0x08, 0x00]);
    frame.extend(&header);
    transport.write(addresses.as_flattened(), segment.payload, frame);
}

fn v6(ends: &Ends, segment: &Segment<'_>, transport: &Transport, frame: &mut Vec<u8>) {
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend(short(transport.header.len() + segment.payload.len()));
    frame.extend([transport.number, 64]);
    let address = |host: u32| {
        let [a, b, c, d] = host.to_be_bytes();
        [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
    };
    let addresses = turned(ends.hosts, segment.from_server).map(address);
    frame.extend(addresses.as_flattened());
    transport.write(addresses.as_flattened(), segment.payload, frame);
}

/// A header of TCP or UDP, its checksum still zero.
struct Transport {
    number: u8,
    checksum_at: usize,
    header: Vec<u8>,
}

fn transport(ends: &Ends, segment: &Segment<'_>) -> Transport {
    let mut header = Vec::with_capacity(20);
    for port in turned(ends.ports, segment.from_server) {
        header.extend(port.to_be_bytes());
    }
    if ends.datagrams {
        header.extend(short(8 + segment.payload.len()));
        header.extend([0, 0]);
        return Transport { number: UDP, checksum_at: 6, header };
    }
    for number in segment.numbers {
        header.extend(number.to_be_bytes());
    }
    header.extend([0x50, segment.flags]);
    header.extend(64_240_u16.to_be_bytes());
    header.extend([0; 4]);
    Transport { number: TCP, checksum_at: 16, header }
}

impl Transport {
    fn write(&self, addresses: &[u8], payload: &[u8], frame: &mut Vec<u8>) {
        let length = u32::try_from(self.header.len() + payload.len()).unwrap_or_default();
        let sum = checksum(u32::from(self.number) + length, &[addresses, &self.header, payload]);
        let mut header = self.header.clone();
        // UDP's zero means that there is none (RFC 768).
        put(&mut header, self.checksum_at, if sum == 0 && self.number == UDP { 0xffff } else { sum });
        frame.extend(&header);
        frame.extend(payload);
    }
}

fn put(header: &mut [u8], at: usize, value: u16) {
    if let Some(place) = header.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// The Internet checksum (RFC 1071) of parts, all but the last of even length.
fn checksum(with: u32, parts: &[&[u8]]) -> u16 {
    let mut sum = with;
    for part in parts {
        let mut pairs = part.chunks_exact(2);
        for pair in &mut pairs {
            sum += pair.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        sum += pairs.remainder().iter().map(|byte| u32::from(*byte) << 8).sum::<u32>();
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}
