//! NTLM messages wherever they are carried (MS-NLMP section 2.2.1): the names in a challenge and in an answer to it.
//!
//! They are found by their signature, so that no carrier needs to be understood. This file must never know who sent
//! them.

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

/// Hands on each message in `bytes` that names someone. [`Stop::Short`] if one is there that is not yet complete.
pub fn messages(bytes: &[u8], mut tell: impl FnMut(Message)) -> Read<()> {
    let mut rest = bytes;
    while let Some(place) = rest.windows(SIGNATURE.len()).position(|window| window == SIGNATURE) {
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
            challenge(info).map(|challenge| Some(Message::Challenge(challenge)))
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
    check(offset <= usize::from(u16::MAX))?;
    message.get(offset..offset + length).ok_or(Stop::Short)
}

fn challenge(info: &[u8]) -> Read<Challenge> {
    let mut challenge = Challenge::default();
    let mut from = Part::whole(info);
    for _ in 0..PAIRS_MAX {
        if from.is_end() {
            break;
        }
        let kind = from.le16()?;
        let length = from.le16()?;
        let value = from.take(usize::from(length))?;
        let place = match kind {
            0 => break,
            1 => &mut challenge.netbios_host,
            2 => &mut challenge.netbios_domain,
            3 => &mut challenge.host,
            4 => &mut challenge.domain,
            _ => continue,
        };
        *place = wire_name::of_utf16(value);
    }
    Ok(challenge)
}
