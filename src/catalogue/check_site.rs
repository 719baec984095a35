//! Checks the site file: addresses, names, dates and exceptions.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::civil::Date;
use jiff::civil::date;

use crate::catalogue::check::Names;
use crate::catalogue::file::ExceptionEntry;
use crate::catalogue::file::SiteFile;
use crate::catalogue::reader::Word;
use crate::catalogue::role::RoleId;
use crate::catalogue::role::RoleSet;
use crate::catalogue::site::Exception;
use crate::catalogue::site::ExceptionEnd;
use crate::catalogue::site::PrefixMap;
use crate::catalogue::site::SiteSettings;
use crate::catalogue::site::parse_prefix;
use crate::model::time::Timestamp;

/// A day without leap seconds, as packet time counts.
const DAY_NS: u64 = 86_400_000_000_000;

/// The site file with its names resolved.
#[derive(Debug, Default)]
pub(crate) struct Site {
    pub(crate) hosts: PrefixMap<RoleSet>,
    pub(crate) names: HashMap<IpAddr, String>,
    pub(crate) settings: SiteSettings,
    pub(crate) scanners: PrefixMap<()>,
    pub(crate) exceptions: Vec<Exception>,
}

/// Checks what the administrator wrote.
pub(crate) fn check_site(file: &SiteFile, names: &mut Names<'_>) -> Site {
    let mut site = Site { settings: SiteSettings { infer: file.infer, strict: file.strict }, ..Site::default() };
    for (role, hosts) in &file.hosts {
        let id = names.role(role);
        if id == Some(RoleId::ANY) {
            let hint = "every host has the role `any`; name another".to_owned();
            names.faults.error(role.at, "`any` needs no hosts", Some(hint));
        }
        for host in hosts {
            if let (Some(prefix), Some(id)) = (prefix(host, names), id) {
                site.hosts.entry(prefix).insert(id);
            }
        }
    }
    for (address, shown) in &file.names {
        let ip = address.text.parse::<IpAddr>();
        match (ip, shown.as_slice()) {
            (Ok(ip), [name]) => drop(site.names.insert(ip, name.text.clone())),
            (Ok(_), _) => names.faults.error(address.at, "a host has one name to be shown by", None),
            (Err(_), _) => {
                let hint = "write it as \"10.0.0.10\" = \"dc1.corp.example\"".to_owned();
                names.faults.error(address.at, format!("`{}` is no address", address.text), Some(hint));
            }
        }
    }
    for word in &file.scanners {
        if let Some(prefix) = prefix(word, names) {
            site.scanners.entry(prefix);
        }
    }
    site.exceptions = file.exceptions.iter().map(|entry| exception(entry, names)).collect();
    site
}

fn prefix(word: &Word, names: &mut Names<'_>) -> Option<IpNet> {
    match parse_prefix(&word.text) {
        Ok(prefix) => Some(prefix),
        Err((message, hint)) => {
            names.faults.error(word.at, message, hint);
            None
        }
    }
}

fn exception(entry: &ExceptionEntry, names: &mut Names<'_>) -> Exception {
    let ends = entry.until.as_ref().and_then(|until| {
        let ends = end_of(&until.text);
        if ends.is_none() {
            let hint = "write it as `2027-01-01`; that day is the last".to_owned();
            names.faults.error(until.at, format!("`{}` is no date", until.text), Some(hint));
        }
        ends
    });
    Exception {
        from: entry.from.iter().filter_map(|word| end(word, names)).collect(),
        to: entry.to.iter().filter_map(|word| end(word, names)).collect(),
        ports: names.ports(&entry.ports),
        reason: entry.reason.text.clone(),
        until: entry.until.as_ref().map(|until| until.text.clone()),
        ends,
    }
}

/// An address or prefix has digits or colons at places where no role has them; all else is taken for a role.
fn end(word: &Word, names: &mut Names<'_>) -> Option<ExceptionEnd> {
    if let Some(role) = names.known_role(&word.text) {
        return Some(ExceptionEnd::Role(role));
    }
    let like_address = word.text.contains([':', '/']) || word.text.starts_with(|c: char| c.is_ascii_digit());
    if like_address { prefix(word, names).map(ExceptionEnd::Prefix) } else { names.role(word).map(ExceptionEnd::Role) }
}

/// The moment after a day (UTC), or a moment with its time zone.
fn end_of(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(u64::try_from(moment.as_nanosecond().max(0)).unwrap_or(u64::MAX)));
    }
    let days = date(1970, 1, 1).until(text.parse::<Date>().ok()?).ok()?.get_days();
    let days_whole = u64::try_from(i64::from(days) + 1).unwrap_or(0);
    Some(Timestamp(days_whole.saturating_mul(DAY_NS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_ends_with_its_day() {
        assert_eq!(end_of("1970-01-01"), Some(Timestamp(86_400_000_000_000)));
        assert_eq!(end_of("1970-01-01T00:00:01Z"), Some(Timestamp(1_000_000_000)));
        assert_eq!(end_of("1969-01-01"), Some(Timestamp(0)));
        assert_eq!(end_of("9999-12-31"), Some(Timestamp(u64::MAX)));
        for bad in ["2027-13-01", "soon", "", "01.02.2027"] {
            assert_eq!(end_of(bad), None, "{bad}");
        }
    }
}
