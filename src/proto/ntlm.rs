//! NTLM messages wherever they are carried (MS-NLMP section 2.2.1): the names in a challenge and in an answer to it.
//!
//! They are found by their signature, so that no carrier needs to be understood. This file must never know who sent
//! them.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::proto::part::Part;
use crate::proto::part::Read;
use crate::proto::part::Stop;
use crate::proto::part::check;
use crate::proto::wire_name;

const SIGNATURE: &[u8] = b"NTLMSSP\0";
const NEGOTIATE: u32 = 1;
const CHALLENGE: u32 = 2;
const AUTHENTICATE: u32 = 3;
/// `NTLMSSP_NEGOTIATE_UNICODE`: names are UTF-16.
const UNICODE: u32 = 1;

/// The most AV pairs read of one challenge; eleven kinds are defined.
const PAIRS_MAX: usize = 32;

/// What a server says of itself in its challenge.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Challenge {
    /// Its `NetBIOS` name.
    pub netbios_host: Option<String>,
    /// Its domain's `NetBIOS` name.
    pub netbios_domain: Option<String>,
    /// Its DNS name.
    pub host: Option<String>,
    /// Its domain's DNS name.
    pub domain: Option<String>,
}

/// A message that names someone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// From the server, about itself.
    Challenge(Challenge),
    /// From the client: the name of its own machine.
    Workstation(String),
}

/// Hands on each message in `bytes` that names someone.
///
/// # Errors
///
/// [`Stop::Short`] if one is there that is not yet complete.
pub fn messages(bytes: &[u8], mut tell: impl FnMut(Message)) -> Read<()> {
    static FINDER: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(SIGNATURE));
    let mut rest = bytes;
    while let Some(place) = FINDER.find(rest) {
        rest = rest.get(place..).unwrap_or_default();
        match message(rest) {
            Ok(Some(message)) => tell(message),
            Ok(None) | Err(Stop::Wrong) => {}
            Err(Stop::Short) => return Err(Stop::Short),
        }
        rest = rest.get(SIGNATURE.len()..).unwrap_or_default();
    }
    Ok(())
}

fn message(bytes: &[u8]) -> Read<Option<Message>> {
    let mut from = Part::open(bytes);
    from.take(SIGNATURE.len())?;
    match from.le32()? {
        NEGOTIATE => Ok(None),
        CHALLENGE => {
            // The target's name, flags, the challenge, and a reserved field stand before the target's description.
            from.take(8 + 4 + 8 + 8)?;
            let info = field(bytes, &mut from)?;
            Ok(Some(Message::Challenge(challenge(info))))
        }
        AUTHENTICATE => {
            // Both responses, the domain and the user.
            from.take(4 * 8)?;
            let mut place = from;
            // The workstation, then the session key, then the flags.
            from.take(8 + 8)?;
            let flags = from.le32()?;
            let name = field(bytes, &mut place)?;
            let name = if flags & UNICODE == 0 { wire_name::of_bytes(name) } else { wire_name::of_utf16(name) };
            Ok(name.map(Message::Workstation))
        }
        _ => Err(Stop::Wrong),
    }
}

/// A field that lies elsewhere in the message: length, space, offset from the signature.
fn field<'a>(message: &'a [u8], from: &mut Part<'a>) -> Read<&'a [u8]> {
    let length = usize::from(from.le16()?);
    from.take(2)?;
    let offset = usize::try_from(from.le32()?).map_err(|_| Stop::Wrong)?;
    if length == 0 {
        return Ok(&[]);
    }
    // Messages fit into one blob of a security layer, whose length has 16 bits.
    check(u16::try_from(offset).is_ok())?;
    message.get(offset..offset + length).ok_or(Stop::Short)
}

/// The names among a target's AV pairs (MS-NLMP section 2.2.2.1). Some servers leave out the pair that ends them.
fn challenge(info: &[u8]) -> Challenge {
    let mut challenge = Challenge::default();
    let mut from = Part::whole(info);
    for _ in 0..PAIRS_MAX {
        let Ok((kind, value)) = pair(&mut from) else { break };
        let place = match kind {
            1 => &mut challenge.netbios_host,
            2 => &mut challenge.netbios_domain,
            3 => &mut challenge.host,
            4 => &mut challenge.domain,
            _ => continue,
        };
        *place = wire_name::of_utf16(value);
    }
    challenge
}

fn pair<'a>(from: &mut Part<'a>) -> Read<(u16, &'a [u8])> {
    let kind = from.le16()?;
    let length = from.le16()?;
    check(kind != 0)?;
    Ok((kind, from.take(usize::from(length))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field's length, space and offset.
    fn place(length: u16, offset: u32) -> Vec<u8> {
        [length.to_le_bytes(), length.to_le_bytes()].concat().into_iter().chain(offset.to_le_bytes()).collect()
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn challenge_of(pairs: &[(u8, &str)], end: &[u8]) -> Vec<u8> {
        let mut info = Vec::new();
        for (kind, text) in pairs {
            let value = utf16(text);
            info.extend([*kind, 0, u8::try_from(value.len()).unwrap_or(0), 0]);
            info.extend(value);
        }
        info.extend(end);
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend(CHALLENGE.to_le_bytes());
        bytes.extend(place(0, 56));
        bytes.extend([0x15, 0x82, 0x8a, 0x62]);
        bytes.extend([7; 8]);
        bytes.extend([0; 8]);
        bytes.extend(place(u16::try_from(info.len()).unwrap_or(0), 56));
        bytes.extend([10, 0, 0x61, 0x4a, 0, 0, 0, 15]);
        bytes.extend(info);
        bytes
    }

    fn read(bytes: &[u8]) -> (Vec<Message>, Read<()>) {
        let mut all = Vec::new();
        let end = messages(bytes, |message| all.push(message));
        (all, end)
    }

    #[test]
    fn a_challenge_names_its_sender() {
        let pairs = [(2, "LAB"), (1, "DC1"), (4, "lab.test"), (3, "dc1.lab.test")];
        let expected = Challenge {
            netbios_host: Some("DC1".to_owned()),
            netbios_domain: Some("LAB".to_owned()),
            host: Some("dc1.lab.test".to_owned()),
            domain: Some("lab.test".to_owned()),
        };
        for end in [&[0; 4][..], &[]] {
            // Something stands before it, as in every carrier.
            let bytes = [b"\xffSMB".to_vec(), challenge_of(&pairs, end)].concat();
            assert_eq!(read(&bytes), (vec![Message::Challenge(expected.clone())], Ok(())));
            for cut in 24..bytes.len() {
                assert_eq!(read(&bytes[..cut]), (vec![], Err(Stop::Short)), "{cut}");
            }
        }
    }

    #[test]
    fn an_answer_names_the_clients_machine() {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend(AUTHENTICATE.to_le_bytes());
        bytes.extend(place(0, 64).repeat(4));
        bytes.extend(place(6, 64));
        bytes.extend(place(0, 70));
        bytes.extend(UNICODE.to_le_bytes());
        bytes.resize(64, 0);
        bytes.extend(utf16("WS7"));
        assert_eq!(read(&bytes), (vec![Message::Workstation("WS7".to_owned())], Ok(())));
        // The same in the code page of its machine.
        bytes[60] = 0;
        bytes[44] = 3;
        bytes.truncate(64);
        bytes.extend(b"WS7");
        assert_eq!(read(&bytes), (vec![Message::Workstation("WS7".to_owned())], Ok(())));
    }

    #[test]
    fn a_far_offset_is_no_message() {
        let mut bytes = challenge_of(&[(1, "A")], &[]);
        bytes[44..48].copy_from_slice(&[0xff; 4]);
        assert_eq!(read(&bytes), (vec![], Ok(())));
    }
}
