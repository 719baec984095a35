//! Rule files and site files as they are written: words and their places, nothing resolved.
//!
//! A rule file may hold any of `[[role]]`, `[[service]]`, `[[interface]]`, `[profile]` and `[[row]]`; in which folder
//! it lies is a matter of order. It must never know which words are good ones.

use crate::catalogue::fault::At;
use crate::catalogue::fault::Faults;
use crate::catalogue::reader::Fields;
use crate::catalogue::reader::Word;
use crate::catalogue::reader::parse;

/// One file of `rules/`, or of a folder laid over it.
#[derive(Default)]
pub(crate) struct RuleFile {
    pub(crate) roles: Vec<RoleEntry>,
    pub(crate) services: Vec<ServiceEntry>,
    pub(crate) interfaces: Vec<InterfaceEntry>,
    pub(crate) profile: Option<ProfileEntry>,
    pub(crate) rows: Vec<RowEntry>,
}

/// `[[role]]`
pub(crate) struct RoleEntry {
    pub(crate) id: Word,
    pub(crate) title: Word,
    pub(crate) implies: Vec<Word>,
    pub(crate) answers: Vec<AnswersEntry>,
    pub(crate) asks: Option<AsksEntry>,
    pub(crate) proofs: Vec<Word>,
}

/// One `[[role.answers]]` of a role
pub(crate) struct AnswersEntry {
    pub(crate) at: At,
    pub(crate) all: Vec<Word>,
    pub(crate) any: Vec<Word>,
}

/// `[role.asks]`
pub(crate) struct AsksEntry {
    pub(crate) of: Word,
    pub(crate) any: Vec<Word>,
}

/// `[[service]]`
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the rule file, independent of the others")]
pub(crate) struct ServiceEntry {
    pub(crate) id: Word,
    pub(crate) title: Word,
    pub(crate) ports: Vec<Word>,
    pub(crate) speaks: Vec<Word>,
    pub(crate) proof: Option<Word>,
    pub(crate) udp: Option<Word>,
    pub(crate) timeout_s: Option<(i64, At)>,
    pub(crate) tcp_twin: bool,
    pub(crate) replies_elsewhere: bool,
    pub(crate) primary: bool,
    pub(crate) exclusive: bool,
    pub(crate) mapper: bool,
}

/// `[[interface]]`
pub(crate) struct InterfaceEntry {
    pub(crate) uuid: Word,
    pub(crate) version: Option<Word>,
    pub(crate) name: Word,
    pub(crate) title: Word,
    pub(crate) source: Word,
}

/// `[profile]`
pub(crate) struct ProfileEntry {
    pub(crate) id: Word,
    pub(crate) title: Word,
    pub(crate) document: Word,
}

/// `[[row]]`
pub(crate) struct RowEntry {
    pub(crate) at: At,
    pub(crate) id: Word,
    pub(crate) from: Vec<Word>,
    pub(crate) to: Vec<Word>,
    pub(crate) service: Option<Word>,
    pub(crate) ports: Option<Vec<Word>>,
    pub(crate) interfaces: Vec<Word>,
    pub(crate) purpose: Word,
    pub(crate) document: Word,
    pub(crate) note: Option<Word>,
    pub(crate) seed: Vec<Word>,
    pub(crate) bidirectional: bool,
    pub(crate) related: Vec<Word>,
    pub(crate) listed_only: bool,
    pub(crate) between: bool,
}

/// The administrator's own file.
#[derive(Default)]
pub(crate) struct SiteFile {
    pub(crate) hosts: Vec<(Word, Vec<Word>)>,
    pub(crate) names: Vec<(Word, Vec<Word>)>,
    pub(crate) profiles: Option<Vec<Word>>,
    pub(crate) infer: Option<bool>,
    pub(crate) strict: Option<bool>,
    pub(crate) scanners: Vec<Word>,
    pub(crate) rows: Vec<RowEntry>,
    pub(crate) exceptions: Vec<ExceptionEntry>,
}

/// `[[exception]]`
pub(crate) struct ExceptionEntry {
    pub(crate) from: Vec<Word>,
    pub(crate) to: Vec<Word>,
    pub(crate) ports: Vec<Word>,
    pub(crate) reason: Word,
    pub(crate) until: Option<Word>,
}

/// Reads a rule file.
pub(crate) fn read_rules(source: u32, text: &str, faults: &mut Faults) -> RuleFile {
    let document = parse(source, text, faults);
    let mut fields = Fields::of(&document, faults);
    let file = RuleFile {
        roles: fields.each("role", read_role),
        services: fields.each("service", read_service),
        interfaces: fields.each("interface", read_interface),
        profile: fields.table("profile").map(read_profile),
        rows: fields.each("row", read_row),
    };
    fields.finish();
    file
}

/// Reads a site file.
pub(crate) fn read_site(source: u32, text: &str, faults: &mut Faults) -> SiteFile {
    let document = parse(source, text, faults);
    let mut fields = Fields::of(&document, faults);
    let mut site = SiteFile {
        hosts: fields.table("hosts").map(Fields::lists_by_name).unwrap_or_default(),
        names: fields.table("names").map(Fields::lists_by_name).unwrap_or_default(),
        rows: fields.each("row", read_row),
        exceptions: fields.each("exception", read_exception),
        ..SiteFile::default()
    };
    if let Some(mut judge) = fields.table("judge") {
        site.profiles = judge.words("profiles");
        site.infer = judge.flag("infer");
        site.strict = judge.flag("strict");
        site.scanners = judge.words("scanners").unwrap_or_default();
        judge.finish();
    }
    fields.finish();
    site
}

fn read_role(mut fields: Fields<'_, '_>) -> RoleEntry {
    let answers = fields.each("answers", |mut answers| {
        let entry = AnswersEntry {
            at: answers.at,
            all: answers.words("all").unwrap_or_default(),
            any: answers.words("any").unwrap_or_default(),
        };
        answers.finish();
        entry
    });
    let asks = fields.table("asks").map(|mut asks| {
        let entry = AsksEntry { of: asks.needed("of"), any: asks.needed_words("any") };
        asks.finish();
        entry
    });
    let entry = RoleEntry {
        id: fields.needed("id"),
        title: fields.needed("title"),
        implies: fields.words("implies").unwrap_or_default(),
        answers,
        asks,
        proofs: fields.words("proofs").unwrap_or_default(),
    };
    fields.finish();
    entry
}

fn read_service(mut fields: Fields<'_, '_>) -> ServiceEntry {
    let entry = ServiceEntry {
        id: fields.needed("id"),
        title: fields.needed("title"),
        ports: fields.needed_words("ports"),
        speaks: fields.words("speaks").unwrap_or_default(),
        proof: fields.word("proof"),
        udp: fields.word("udp"),
        timeout_s: fields.number("timeout_s"),
        tcp_twin: fields.flag("tcp_twin").unwrap_or(false),
        replies_elsewhere: fields.flag("replies_elsewhere").unwrap_or(false),
        primary: fields.flag("primary").unwrap_or(false),
        exclusive: fields.flag("exclusive").unwrap_or(false),
        mapper: fields.flag("mapper").unwrap_or(false),
    };
    fields.finish();
    entry
}

fn read_interface(mut fields: Fields<'_, '_>) -> InterfaceEntry {
    let entry = InterfaceEntry {
        uuid: fields.needed("uuid"),
        version: fields.word("version"),
        name: fields.needed("name"),
        title: fields.needed("title"),
        source: fields.needed("source"),
    };
    fields.finish();
    entry
}

fn read_profile(mut fields: Fields<'_, '_>) -> ProfileEntry {
    let entry =
        ProfileEntry { id: fields.needed("id"), title: fields.needed("title"), document: fields.needed("document") };
    fields.finish();
    entry
}

fn read_row(mut fields: Fields<'_, '_>) -> RowEntry {
    let entry = RowEntry {
        at: fields.at,
        id: fields.needed("id"),
        from: fields.needed_words("from"),
        to: fields.needed_words("to"),
        service: fields.word("service"),
        ports: fields.some_words("ports"),
        interfaces: fields.words("interfaces").unwrap_or_default(),
        purpose: fields.needed("purpose"),
        document: fields.needed("document"),
        note: fields.word("note"),
        seed: fields.words("seed").unwrap_or_default(),
        bidirectional: fields.flag("bidirectional").unwrap_or(false),
        related: fields.words("related").unwrap_or_default(),
        listed_only: fields.flag("listed_only").unwrap_or(false),
        between: fields.flag("between").unwrap_or(false),
    };
    fields.finish();
    entry
}

fn read_exception(mut fields: Fields<'_, '_>) -> ExceptionEntry {
    let entry = ExceptionEntry {
        from: fields.needed_words("from"),
        to: fields.needed_words("to"),
        ports: fields.some_words("ports").unwrap_or_default(),
        reason: fields.needed("reason"),
        until: fields.date("until"),
    };
    fields.finish();
    entry
}
