//! Kerberos 5 over TCP and UDP (RFC 4120), and what its messages name.
//!
//! It hands on the part of the sender, realms, services and errors. It must never know ports, nor addresses: a ticket
//! for a host says nothing about where that host is.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::ber;
use crate::proto::part::Part;
use crate::proto::part::Read;
use crate::proto::part::Stop;
use crate::proto::part::check;
use crate::proto::wire_name;

/// What a message is. The number is its type and, behind `APPLICATION`, its tag (RFC 4120 section 5.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Asks for a first ticket.
    AsRequest = 10,
    /// Gives it.
    AsReply = 11,
    /// Asks for a ticket to a service.
    TgsRequest = 12,
    /// Gives it.
    TgsReply = 13,
    /// Shows a ticket to a service.
    ApRequest = 14,
    /// The service's proof in return.
    ApReply = 15,
    /// Signed data of an application.
    Safe = 20,
    /// Sealed data of an application.
    Private = 21,
    /// Credentials on the way.
    Credentials = 22,
    /// A refusal, of either a KDC or a service.
    Error = 30,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::AsRequest,
        Self::AsReply,
        Self::TgsRequest,
        Self::TgsReply,
        Self::ApRequest,
        Self::ApReply,
        Self::Safe,
        Self::Private,
        Self::Credentials,
        Self::Error,
    ];

    /// The kind of this application tag, its constructed bit set.
    fn of_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 | 0x60 == tag)
    }

    /// Who sends it.
    pub fn speaker(self) -> Speaker {
        match self {
            Self::AsRequest | Self::TgsRequest | Self::ApRequest => Speaker::Client,
            Self::AsReply | Self::TgsReply | Self::ApReply | Self::Error => Speaker::Server,
            Self::Safe | Self::Private | Self::Credentials => Speaker::Either,
        }
    }
}

/// Whether this is Kerberos. Certain once version, type and tag agree.
pub fn recognise(transport: Transport, bytes: &[u8]) -> Recognition {
    let mut all = Part::open(bytes);
    let opened = match transport {
        Transport::Tcp => record(&mut all),
        _ => Ok(all),
    };
    let kind = opened.and_then(|mut record| kind(&mut record).map(|(kind, _)| kind));
    kind.map_or_else(Recognition::from, |kind| Recognition::Certain(kind.speaker()))
}

/// The next message of a stream, behind its length of four bytes (RFC 4120 section 7.2.2).
fn record<'a>(stream: &mut Part<'a>) -> Read<Part<'a>> {
    // The first byte is enough to refuse most of what is not Kerberos; no message comes near 16 MiB.
    check(stream.at_hand().first().is_none_or(|high| *high == 0))?;
    let length = stream.be32()?;
    stream.inner(usize::try_from(length).map_err(|_| Stop::Wrong)?)
}

/// The kind of a message, and its fields behind version and type. Used by `kpasswd` too, which carries such messages.
pub(crate) fn kind<'a>(message: &mut Part<'a>) -> Read<(Kind, Part<'a>)> {
    let mut ahead = *message;
    let kind = Kind::of_tag(ahead.u8()?).ok_or(Stop::Wrong)?;
    let (_, mut body) = ber::element(message)?;
    let mut fields = ber::expect(&mut body, ber::SEQUENCE)?;
    // Requests to a KDC number their fields from 1, all others from 0.
    let first = match kind {
        Kind::AsRequest | Kind::TgsRequest => 0xa1,
        _ => 0xa0,
    };
    check(ber::numbered(&mut fields, first)? == 5)?;
    check(ber::numbered(&mut fields, first + 1)? == i64::from(kind as u8))?;
    Ok((kind, fields))
}

/// What a message names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// The message it stood in.
    pub kind: Kind,
    /// The realm that is asked or answers.
    pub realm: Option<String>,
    /// The service a ticket is asked or given for, its parts joined by `/`.
    pub service: Option<String>,
    /// The error's number; see [`error_name`].
    pub error: Option<u16>,
}

/// Hands on what each message of one end names.
///
/// # Errors
///
/// [`Stop::Short`] if more bytes could tell more, [`Stop::Wrong`] if what follows is no message.
pub fn facts(transport: Transport, bytes: &[u8], mut tell: impl FnMut(Named)) -> Read<()> {
    let mut all = Part::open(bytes);
    if transport != Transport::Tcp {
        tell(named(&mut all)?);
        return Ok(());
    }
    loop {
        let mut message = record(&mut all)?;
        tell(named(&mut message)?);
    }
}

fn named(message: &mut Part<'_>) -> Read<Named> {
    let (kind, mut fields) = kind(message)?;
    let mut named = Named { kind, realm: None, service: None, error: None };
    while !fields.is_end() {
        let (tag, mut field) = ber::element(&mut fields)?;
        match (kind, tag & 0x1f) {
            (Kind::AsRequest | Kind::TgsRequest, 4) => request(&mut field, &mut named)?,
            (Kind::AsReply | Kind::TgsReply, 5) => {
                // The ticket: version, realm and service are in the clear.
                let mut ticket = ber::expect(&mut field, 0x61)?;
                let mut ticket = ber::expect(&mut ticket, ber::SEQUENCE)?;
                ber::numbered(&mut ticket, 0xa0)?;
                named.realm = string(&mut ber::expect(&mut ticket, 0xa1)?)?;
                named.service = principal(&mut ber::expect(&mut ticket, 0xa2)?)?;
                break;
            }
            (Kind::Error, 6) => named.error = u16::try_from(ber::integer(&mut field, ber::INTEGER)?).ok(),
            (Kind::Error, 9) => named.realm = string(&mut field)?,
            (Kind::Error, 10) => {
                named.service = principal(&mut field)?;
                break;
            }
            _ => {}
        }
    }
    Ok(named)
}

fn request(field: &mut Part<'_>, named: &mut Named) -> Read<()> {
    let mut body = ber::expect(field, ber::SEQUENCE)?;
    while !body.is_end() {
        let (tag, mut part) = ber::element(&mut body)?;
        match tag & 0x1f {
            2 => named.realm = string(&mut part)?,
            3 => {
                named.service = principal(&mut part)?;
                break;
            }
            _ => {}
        }
    }
    Ok(())
}

fn string(field: &mut Part<'_>) -> Read<Option<String>> {
    Ok(wire_name::of_bytes(ber::expect(field, ber::GENERAL_STRING)?.rest()?))
}

/// The most parts read of a principal's name; services have two or three.
const PARTS_MAX: usize = 8;

fn principal(field: &mut Part<'_>) -> Read<Option<String>> {
    let mut name = ber::expect(field, ber::SEQUENCE)?;
    ber::numbered(&mut name, 0xa0)?;
    let mut parts = ber::expect(&mut ber::expect(&mut name, 0xa1)?, ber::SEQUENCE)?;
    let mut joined = String::new();
    for _ in 0..PARTS_MAX {
        if parts.is_end() {
            break;
        }
        if !joined.is_empty() {
            joined.push('/');
        }
        joined.push_str(&string(&mut parts)?.unwrap_or_default());
    }
    Ok(wire_name::fits(joined))
}

/// The name of an error's number (RFC 4120 section 7.5.9, RFC 4556 section 3.1.3).
pub fn error_name(code: u16) -> Option<&'static str> {
    ERRORS.iter().find(|(number, _)| *number == code).map(|(_, name)| *name)
}

const ERRORS: &[(u16, &str)] = &[
    (1, "KDC_ERR_NAME_EXP"),
    (2, "KDC_ERR_SERVICE_EXP"),
    (3, "KDC_ERR_BAD_PVNO"),
    (4, "KDC_ERR_C_OLD_MAST_KVNO"),
    (5, "KDC_ERR_S_OLD_MAST_KVNO"),
    (6, "KDC_ERR_C_PRINCIPAL_UNKNOWN"),
    (7, "KDC_ERR_S_PRINCIPAL_UNKNOWN"),
    (8, "KDC_ERR_PRINCIPAL_NOT_UNIQUE"),
    (9, "KDC_ERR_NULL_KEY"),
    (10, "KDC_ERR_CANNOT_POSTDATE"),
    (11, "KDC_ERR_NEVER_VALID"),
    (12, "KDC_ERR_POLICY"),
    (13, "KDC_ERR_BADOPTION"),
    (14, "KDC_ERR_ETYPE_NOSUPP"),
    (15, "KDC_ERR_SUMTYPE_NOSUPP"),
    (16, "KDC_ERR_PADATA_TYPE_NOSUPP"),
    (17, "KDC_ERR_TRTYPE_NOSUPP"),
    (18, "KDC_ERR_CLIENT_REVOKED"),
    (19, "KDC_ERR_SERVICE_REVOKED"),
    (20, "KDC_ERR_TGT_REVOKED"),
    (21, "KDC_ERR_CLIENT_NOTYET"),
    (22, "KDC_ERR_SERVICE_NOTYET"),
    (23, "KDC_ERR_KEY_EXPIRED"),
    (24, "KDC_ERR_PREAUTH_FAILED"),
    (25, "KDC_ERR_PREAUTH_REQUIRED"),
    (26, "KDC_ERR_SERVER_NOMATCH"),
    (27, "KDC_ERR_MUST_USE_USER2USER"),
    (28, "KDC_ERR_PATH_NOT_ACCEPTED"),
    (29, "KDC_ERR_SVC_UNAVAILABLE"),
    (31, "KRB_AP_ERR_BAD_INTEGRITY"),
    (32, "KRB_AP_ERR_TKT_EXPIRED"),
    (33, "KRB_AP_ERR_TKT_NYV"),
    (34, "KRB_AP_ERR_REPEAT"),
    (35, "KRB_AP_ERR_NOT_US"),
    (36, "KRB_AP_ERR_BADMATCH"),
    (37, "KRB_AP_ERR_SKEW"),
    (38, "KRB_AP_ERR_BADADDR"),
    (39, "KRB_AP_ERR_BADVERSION"),
    (40, "KRB_AP_ERR_MSG_TYPE"),
    (41, "KRB_AP_ERR_MODIFIED"),
    (42, "KRB_AP_ERR_BADORDER"),
    (44, "KRB_AP_ERR_BADKEYVER"),
    (45, "KRB_AP_ERR_NOKEY"),
    (46, "KRB_AP_ERR_MUT_FAIL"),
    (47, "KRB_AP_ERR_BADDIRECTION"),
    (48, "KRB_AP_ERR_METHOD"),
    (49, "KRB_AP_ERR_BADSEQ"),
    (50, "KRB_AP_ERR_INAPP_CKSUM"),
    (51, "KRB_AP_PATH_NOT_ACCEPTED"),
    (52, "KRB_ERR_RESPONSE_TOO_BIG"),
    (60, "KRB_ERR_GENERIC"),
    (61, "KRB_ERR_FIELD_TOOLONG"),
    (62, "KDC_ERR_CLIENT_NOT_TRUSTED"),
    (63, "KDC_ERR_KDC_NOT_TRUSTED"),
    (64, "KDC_ERR_INVALID_SIG"),
    (65, "KDC_ERR_KEY_TOO_WEAK"),
    (66, "KDC_ERR_CERTIFICATE_MISMATCH"),
    (67, "KRB_AP_ERR_NO_TGT"),
    (68, "KDC_ERR_WRONG_REALM"),
    (69, "KRB_AP_ERR_USER_TO_USER_REQUIRED"),
    (70, "KDC_ERR_CANT_VERIFY_CERTIFICATE"),
    (71, "KDC_ERR_INVALID_CERTIFICATE"),
    (72, "KDC_ERR_REVOKED_CERTIFICATE"),
    (73, "KDC_ERR_REVOCATION_STATUS_UNKNOWN"),
    (74, "KDC_ERR_REVOCATION_STATUS_UNAVAILABLE"),
    (75, "KDC_ERR_CLIENT_NAME_MISMATCH"),
    (76, "KDC_ERR_KDC_NAME_MISMATCH"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    fn read(sample: &samples::Sample) -> Vec<Named> {
        let mut all = Vec::new();
        let _ = facts(sample.transport, &sample.bytes(), |named| all.push(named));
        all
    }

    #[test]
    fn requests_and_refusals_are_read() {
        let expected = |kind, error| Named {
            kind,
            realm: Some("LAB.TEST".to_owned()),
            service: Some("krbtgt/LAB.TEST".to_owned()),
            error,
        };
        assert_eq!(read(&samples::AS_REQ), [expected(Kind::AsRequest, None)]);
        assert_eq!(read(&samples::AS_REQ_TCP), [expected(Kind::AsRequest, None)]);
        assert_eq!(read(&samples::KRB_ERROR), [expected(Kind::Error, Some(25))]);
        assert_eq!(error_name(25), Some("KDC_ERR_PREAUTH_REQUIRED"));
        assert_eq!(error_name(43), None);
    }

    #[test]
    fn type_and_tag_must_agree() {
        let mut bytes = samples::KRB_ERROR.bytes();
        // The type of a message, 30, made another's.
        let place = bytes.windows(5).position(|window| window == [0xa1, 3, 2, 1, 30]);
        if let Some(kind) = place.and_then(|place| bytes.get_mut(place + 4)) {
            *kind = 13;
        }
        assert_eq!(recognise(Transport::Udp, &bytes), Recognition::NotForUs);
    }

    #[test]
    fn numbers_of_errors_stand_in_order() {
        assert!(ERRORS.is_sorted_by(|(one, _), (next, _)| one < next));
    }
}
