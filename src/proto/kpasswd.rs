//! The protocol that changes and sets Kerberos passwords (RFC 3244).
//!
//! It hands on the part of the sender, and must never know ports.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::kerberos;
use crate::proto::kerberos::Kind;
use crate::proto::part::Part;
use crate::proto::part::Read;
use crate::proto::part::Stop;
use crate::proto::part::check;

/// Whether this is a change of a password. Certain once the Kerberos message inside has been read.
pub fn recognise(transport: Transport, bytes: &[u8]) -> Recognition {
    opening(transport, bytes).map_or_else(Recognition::from, Recognition::Certain)
}

fn opening(transport: Transport, bytes: &[u8]) -> Read<Speaker> {
    let mut all = Part::open(bytes);
    let framed = transport == Transport::Tcp;
    let mut message = if framed {
        check(all.at_hand().first().is_none_or(|high| *high == 0))?;
        let length = all.be32()?;
        // Its own length has 16 bits.
        check((6..=0xffff).contains(&length))?;
        all.inner(usize::try_from(length).map_err(|_| Stop::Wrong)?)?
    } else {
        all
    };
    let length = usize::from(message.be16()?);
    let rest = length.checked_sub(2).ok_or(Stop::Wrong)?;
    check(if framed { rest == message.declared() } else { rest >= message.at_hand().len() })?;
    let mut message = message.inner(rest)?;
    // 1 changes the sender's own password, 0xff80 sets anyone's; replies have 1.
    let version = message.be16()?;
    check(version == 1 || version == 0xff80)?;
    let ticket_length = usize::from(message.be16()?);
    let mut inner = if ticket_length == 0 { message } else { message.inner(ticket_length)? };
    match kerberos::kind(&mut inner)?.0 {
        Kind::ApRequest if ticket_length > 0 => Ok(Speaker::Client),
        Kind::ApReply if ticket_length > 0 => Ok(Speaker::Server),
        // A refusal takes the ticket's place.
        Kind::Error if ticket_length == 0 => Ok(Speaker::Server),
        _ => Err(Stop::Wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    #[test]
    fn a_datagram_has_no_length_before_it() {
        let framed = samples::KPASSWD_REPLY.bytes();
        assert_eq!(recognise(Transport::Udp, &framed[4..]), Recognition::Certain(Speaker::Server));
        assert_eq!(recognise(Transport::Udp, &framed), Recognition::NotForUs);
        assert_eq!(recognise(Transport::Tcp, &framed[4..]), Recognition::NotForUs);
    }

    #[test]
    fn a_refusal_takes_the_place_of_the_ticket() {
        let error = samples::KRB_ERROR.bytes();
        let length = u16::try_from(error.len() + 6).unwrap_or(0).to_be_bytes();
        let bytes = [&length[..], &[0, 1, 0, 0], &error].concat();
        assert_eq!(recognise(Transport::Udp, &bytes), Recognition::Certain(Speaker::Server));
    }
}
