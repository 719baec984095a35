//! A domain controller's answer to a CLDAP ping (MS-ADTS section 6.3.1).
//!
//! It hands on the names in it. It must never know who sent it.

use crate::proto::part::Part;
use crate::proto::part::Read;
use crate::proto::part::Stop;
use crate::proto::part::check;
use crate::proto::wire_name;

/// What a domain controller says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// The domain's DNS name.
    pub domain: Option<String>,
    /// The controller's DNS name.
    pub host: Option<String>,
    /// The domain's `NetBIOS` name.
    pub netbios_domain: Option<String>,
    /// The controller's `NetBIOS` name.
    pub netbios_host: Option<String>,
}

/// Pointers followed in one name. A name of 255 bytes has no more labels than that.
const JUMPS_MAX: usize = 128;

/// Reads the value of the `Netlogon` attribute. Only the form with DNS names is read (`NETLOGON_SAM_LOGON_RESPONSE_EX`,
/// operation codes 23 to 25); of the two older forms (19 to 21) it is known that a domain controller sent them, so they
/// give an answer without names.
///
/// # Errors
///
/// [`Stop::Wrong`] if it is another message, or contradicts itself.
pub fn answer(value: &[u8]) -> Read<Answer> {
    let mut from = Part::whole(value);
    match from.le16()? {
        19..=21 => return Ok(Answer::default()),
        23..=25 => {}
        _ => return Err(Stop::Wrong),
    }
    check(from.le16()? == 0)?;
    // Flags, and the domain's GUID.
    from.take(4 + 16)?;
    let mut at = value.len() - from.declared();
    let mut next = || name(value, &mut at);
    let _forest = next()?;
    let domain = next()?;
    let host = next()?;
    let netbios_domain = next()?;
    let netbios_host = next()?;
    Ok(Answer {
        domain: wire_name::fits(domain),
        host: wire_name::fits(host),
        netbios_domain: wire_name::fits(netbios_domain).map(|name| name.to_uppercase()),
        netbios_host: wire_name::fits(netbios_host).map(|name| name.to_uppercase()),
    })
}

/// A name compressed as in RFC 1035 section 4.1.4, `at` a place in `value`; moves `at` behind it.
fn name(value: &[u8], at: &mut usize) -> Read<String> {
    let mut name = String::new();
    let mut place = *at;
    let mut jumped = false;
    for _ in 0..JUMPS_MAX {
        let rest = value.get(place..).ok_or(Stop::Wrong)?;
        match *rest {
            [0, ..] => {
                if !jumped {
                    *at = place + 1;
                }
                return Ok(name);
            }
            [high @ 0xc0..=0xff, low, ..] => {
                if !jumped {
                    *at = place + 2;
                }
                jumped = true;
                place = usize::from(u16::from_be_bytes([high & 0x3f, low]));
            }
            [length @ 1..0x40, ..] => {
                let end = 1 + usize::from(length);
                wire_name::push_label(&mut name, rest.get(1..end).ok_or(Stop::Wrong)?);
                place += end;
            }
            _ => return Err(Stop::Wrong),
        }
    }
    Err(Stop::Wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ldap;
    use crate::proto::samples;

    #[test]
    fn names_of_a_domain_controller() {
        let mut answers = Vec::new();
        let _ = ldap::facts(&samples::CLDAP_ANSWER.bytes(), |fact| {
            if let ldap::Fact::Value { value, .. } = fact {
                answers.push(answer(value));
            }
        });
        let expected = Answer {
            domain: Some("lab.test".to_owned()),
            host: Some("dc1.lab.test".to_owned()),
            netbios_domain: Some("LAB".to_owned()),
            netbios_host: Some("DC1".to_owned()),
        };
        assert_eq!(answers, [Ok(expected)]);
    }

    #[test]
    fn other_answers() {
        assert_eq!(answer(&[19, 0, 1, 2, 3]), Ok(Answer::default()));
        assert_eq!(answer(&[18, 0]), Err(Stop::Wrong));
        let mut looping = vec![23, 0, 0, 0];
        looping.extend([0; 20]);
        looping.extend([0xc0, 24]);
        assert_eq!(answer(&looping), Err(Stop::Wrong));
    }
}
