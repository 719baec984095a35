//! The confusion matrix: every recogniser knows its own samples, and is silent on those of all others.
//!
//! Samples are in `tests/samples`. A recogniser without samples of both ends fails; samples of a protocol that has no
//! recogniser are still strangers to all others.

mod samples;

use portolan::model::app::AppProto;
use portolan::model::app::Speaker;
use portolan::model::transport::Transport;
use portolan::proto::RECOGNISERS;
use portolan::proto::Recogniser;
use portolan::proto::Recognition;
use portolan::proto::recognise;
use samples::Certainty;
use samples::Sample;
use samples::samples;

/// Protocols that share words, so that one may find the other's samples likely. Never certain.
const ALIKE: &[(AppProto, AppProto)] = &[
    (AppProto::Smtp, AppProto::Ftp),
    (AppProto::Pop3, AppProto::Ftp),
    (AppProto::Smtp, AppProto::Pop3),
    // What only one end says, in one byte or less than ten.
    (AppProto::Http, AppProto::NetbiosSession),
];

#[test]
fn every_recogniser_has_samples_of_both_ends() {
    let all = samples();
    let mut missing = Vec::new();
    for recogniser in RECOGNISERS {
        for transport in recogniser.over {
            let own = all.iter().filter(|sample| sample.proto == recogniser.proto && sample.transport == *transport);
            let speakers: Vec<_> = own.map(|sample| sample.speaker).collect();
            let either = speakers.contains(&None);
            // RPC over HTTP greets with its server only.
            let asks = either || speakers.contains(&Some(Speaker::Client)) || recogniser.proto == AppProto::NcacnHttp;
            let answers = either || speakers.contains(&Some(Speaker::Server));
            if !asks || !answers {
                missing.push(format!("{} over {transport}: client {asks}, server {answers}", recogniser.proto));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn every_recogniser_stands_in_the_table_once() {
    for (place, recogniser) in RECOGNISERS.iter().enumerate() {
        assert!(!recogniser.over.is_empty(), "{} is spoken nowhere", recogniser.proto);
        let again = RECOGNISERS.iter().skip(place + 1).any(|other| other.proto == recogniser.proto);
        assert!(!again, "{} has two rows", recogniser.proto);
    }
}

#[test]
fn every_sample_is_recognised_and_its_sender_too() {
    let mut faults = Vec::new();
    for sample in samples() {
        let Some(own) = row(sample.proto) else { continue };
        let answer = ask(own, &sample, &sample.bytes);
        let certainties = match answer {
            Recognition::Certain(_) => [Certainty::Certain, Certainty::Any].as_slice(),
            Recognition::Likely(_) => &[Certainty::Likely, Certainty::Shared, Certainty::Any],
            Recognition::NeedMore | Recognition::NotForUs => &[],
        };
        let fits = certainties.contains(&sample.certainty);
        let Some(speaker) = speaker_of(answer).filter(|_| fits) else {
            faults.push(format!("{}: {answer:?}", name(&sample)));
            continue;
        };
        if sample.speaker.is_some_and(|expected| expected != speaker) {
            faults.push(format!("{}: {answer:?}", name(&sample)));
        }
        let (said, _) = recognise(sample.transport, &sample.bytes);
        let right =
            said.proto == Some(sample.proto) && said.speaker == speaker || sample.certainty == Certainty::Shared;
        let as_sure = said.certain == matches!(answer, Recognition::Certain(_));
        if said.proto.is_none() || !right || !as_sure || said.ruled_out.contains(sample.proto) {
            faults.push(format!("{}: all together say {said:?}", name(&sample)));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_recogniser_is_silent_on_the_samples_of_others() {
    let mut faults = Vec::new();
    for sample in samples() {
        for other in others(&sample) {
            match ask(other, &sample, &sample.bytes) {
                Recognition::NotForUs | Recognition::NeedMore => {}
                Recognition::Likely(_) if alike(other.proto, sample.proto) => {}
                answer => faults.push(format!("{}: {} says {answer:?}", name(&sample), other.proto)),
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_sample_cut_anywhere_is_never_denied_nor_taken_for_another() {
    let mut faults = Vec::new();
    for sample in samples() {
        for length in 0..sample.bytes.len() {
            let cut = &sample.bytes[..length];
            if row(sample.proto).is_some_and(|own| ask(own, &sample, cut) == Recognition::NotForUs) {
                faults.push(format!("{}: denied at {length}", name(&sample)));
            }
            for other in others(&sample) {
                if let Recognition::Certain(_) = ask(other, &sample, cut) {
                    faults.push(format!("{}: {} is certain at {length}", name(&sample), other.proto));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn what_is_certain_of_a_stream_stays_so() {
    let mut faults = Vec::new();
    for sample in samples().iter().filter(|sample| sample.transport == Transport::Tcp) {
        let Some(own) = row(sample.proto) else { continue };
        let mut before = Recognition::NeedMore;
        for length in 0..=sample.bytes.len() {
            let now = ask(own, sample, &sample.bytes[..length]);
            if matches!(before, Recognition::Certain(_)) && !matches!(now, Recognition::Certain(_)) {
                faults.push(format!("{}: {before:?} became {now:?} at {length}", name(sample)));
            }
            before = now;
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_flipped_bit_never_makes_two_certain() {
    let mut faults = Vec::new();
    for sample in samples() {
        let mut bytes = sample.bytes.clone();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let certain = |row: &&Recogniser| matches!(ask(row, &sample, &bytes), Recognition::Certain(_));
            let sure: Vec<_> = rows(sample.transport).filter(certain).map(|row| row.proto).collect();
            if sure.len() > 1 {
                faults.push(format!("{}, bit {bit}: {sure:?}", name(&sample)));
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn nothing_is_nobodys() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let (said, more) = recognise(transport, &[]);
        assert!(said.proto.is_none() && said.ruled_out.is_empty() && more, "{said:?}");
    }
    let (said, more) = recognise(Transport::Tcp, &[0xe7; 64]);
    assert!(said.proto.is_none() && !said.ruled_out.is_empty() && !more, "{said:?}");
}

fn rows(transport: Transport) -> impl Iterator<Item = &'static Recogniser> {
    RECOGNISERS.iter().filter(move |row| row.over.contains(&transport))
}

fn row(proto: AppProto) -> Option<&'static Recogniser> {
    RECOGNISERS.iter().find(|row| row.proto == proto)
}

fn others(sample: &Sample) -> impl Iterator<Item = &'static Recogniser> {
    let own = sample.proto;
    rows(sample.transport).filter(move |row| row.proto != own)
}

fn ask(row: &Recogniser, sample: &Sample, bytes: &[u8]) -> Recognition {
    (row.recognise)(sample.transport, bytes)
}

fn speaker_of(answer: Recognition) -> Option<Speaker> {
    match answer {
        Recognition::Certain(speaker) | Recognition::Likely(speaker) => Some(speaker),
        Recognition::NeedMore | Recognition::NotForUs => None,
    }
}

fn alike(one: AppProto, other: AppProto) -> bool {
    ALIKE.contains(&(one, other)) || ALIKE.contains(&(other, one))
}

fn name(sample: &Sample) -> String {
    format!("{} over {}, {}", sample.proto, sample.transport, sample.title)
}
