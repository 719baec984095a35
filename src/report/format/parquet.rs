//! Parquet: flows or the services of host pairs as columns, for the questions of a fleet of sensors.
//!
//! The columns of flows have the names of the flow records, those of pairs the names of the CSV table. [`FLEET.md`] has
//! both and the queries. What is written does not depend on the machine: the same rows give the same bytes.
//!
//! [`FLEET.md`]: https://github.com/portolan/portolan/blob/main/FLEET.md

use std::io;
use std::io::Write;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::basic::GzipLevel;
use parquet::basic::LogicalType;
use parquet::basic::Repetition;
use parquet::basic::TimeUnit;
use parquet::basic::Type as Physical;
use parquet::data_type::ByteArray;
use parquet::data_type::ByteArrayType;
use parquet::data_type::DoubleType;
use parquet::data_type::Int32Type;
use parquet::data_type::Int64Type;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedColumnWriter;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use crate::classify::verdict::Outcome;
use crate::report::flow_record::FlowRecord;
use crate::report::format::Pages;
use crate::report::handshakes::HandshakeUs;
use crate::report::moment::Moment;
use crate::report::pairs::Pair;
use crate::report::pairs::PairService;

/// Rows of a row group: what is held in memory before it is written.
const GROUP_ROWS: usize = 1 << 16;

/// A column of rows `R`.
struct Column<R> {
    name: &'static str,
    values: Values<R>,
}

/// How the values of a column are found. What may be missing is `OPTIONAL`, lists are `LIST`s.
enum Values<R> {
    Text(fn(&R) -> String),
    TextOrNot(fn(&R) -> Option<String>),
    Texts(fn(&R) -> Vec<String>),
    /// An unsigned number of 16 bits.
    Port(fn(&R) -> u16),
    Ports(fn(&R) -> Vec<u16>),
    Whole(fn(&R) -> u64),
    WholeOrNot(fn(&R) -> Option<u64>),
    Real(fn(&R) -> f64),
    /// UTC, microseconds.
    TimeOrNot(fn(&R) -> Option<Moment>),
}

fn column<R>(name: &'static str, values: Values<R>) -> Column<R> {
    Column { name, values }
}

fn flow_columns() -> Vec<Column<FlowRecord>> {
    use Values::Port;
    use Values::Real;
    use Values::Text;
    use Values::TextOrNot;
    use Values::Texts;
    use Values::TimeOrNot;
    use Values::Whole;
    use Values::WholeOrNot;
    let column = column::<FlowRecord>;
    vec![
        column("ts", TimeOrNot(|flow| Some(flow.ts))),
        column("uid", Text(|flow| flow.uid.clone())),
        column("id.orig_h", Text(|flow| flow.orig_h.to_string())),
        column("id.orig_p", Port(|flow| flow.orig_p)),
        column("id.resp_h", Text(|flow| flow.resp_h.to_string())),
        column("id.resp_p", Port(|flow| flow.resp_p)),
        column("proto", Text(|flow| flow.proto.to_owned())),
        column("service", TextOrNot(|flow| flow.service.as_ref().map(ToString::to_string))),
        column("duration", Real(|flow| flow.duration)),
        column("orig_bytes", Whole(|flow| flow.orig_bytes)),
        column("resp_bytes", Whole(|flow| flow.resp_bytes)),
        column("conn_state", Text(|flow| flow.conn_state.to_owned())),
        column("history", Text(|flow| flow.history.clone())),
        column("orig_pkts", Whole(|flow| flow.orig_pkts)),
        column("resp_pkts", Whole(|flow| flow.resp_pkts)),
        column("orig_ip_bytes", Whole(|flow| flow.orig_ip_bytes)),
        column("resp_ip_bytes", Whole(|flow| flow.resp_ip_bytes)),
        column("community_id", Text(|flow| flow.community_id.clone())),
        column("outcome", Text(|flow| flow.outcome.to_owned())),
        column("standing", Text(|flow| flow.standing.to_owned())),
        column("confidence", Text(|flow| flow.confidence.to_owned())),
        column("reason", Text(|flow| flow.reason.clone())),
        column("by", TextOrNot(|flow| flow.by.clone())),
        column("rule_id", TextOrNot(|flow| flow.rule_id.as_ref().map(ToString::to_string))),
        column("src_role", Text(|flow| flow.src_role.clone())),
        column("dst_role", Text(|flow| flow.dst_role.clone())),
        column("finding", TextOrNot(|flow| flow.finding.map(ToOwned::to_owned))),
        column("rpc.uuid", TextOrNot(|flow| flow.rpc.as_ref()?.uuid.clone())),
        column("rpc.interface", TextOrNot(|flow| flow.rpc.as_ref()?.interface.as_ref().map(ToString::to_string))),
        column("rpc.grade", TextOrNot(|flow| Some(flow.rpc.as_ref()?.grade.to_string()))),
        column("app", TextOrNot(|flow| flow.app.map(ToOwned::to_owned))),
        column("icmp.type", WholeOrNot(|flow| Some(u64::from(flow.icmp.as_ref()?.kind)))),
        column("icmp.code", WholeOrNot(|flow| Some(u64::from(flow.icmp.as_ref()?.code)))),
        column("icmp.from", TextOrNot(|flow| Some(flow.icmp.as_ref()?.from.to_string()))),
        column("handshake_us", WholeOrNot(|flow| flow.handshake_us.map(u64::from))),
        column("dir_basis", Text(|flow| flow.dir_basis.to_owned())),
        column("flags", Texts(|flow| flow.flags.iter().map(|flag| (*flag).to_owned()).collect())),
        column("frames", Texts(|flow| flow.frames.iter().map(ToString::to_string).collect())),
        column("standing_why", TextOrNot(|flow| flow.standing_why.map(ToOwned::to_owned))),
    ]
}

/// One service between two hosts.
type PairRow<'a> = (Pair<'a>, PairService<'a>);

fn outcome(row: &PairRow<'_>, outcome: Outcome) -> u64 {
    row.1.outcomes.iter().find(|(name, _)| *name == outcome.name()).map_or(0, |(_, number)| number)
}

fn standing(row: &PairRow<'_>, name: &str) -> u64 {
    row.1.standings.iter().find(|(known, _)| *known == name).map_or(0, |(_, number)| number)
}

fn handshake(row: &PairRow<'_>, pick: fn(&HandshakeUs) -> u64) -> Option<u64> {
    row.1.handshake_us.as_ref().map(pick)
}

fn pair_columns<'a>() -> Vec<Column<PairRow<'a>>> {
    use Values::Ports;
    use Values::Text;
    use Values::TimeOrNot;
    use Values::Whole;
    use Values::WholeOrNot;
    let column = column::<PairRow<'a>>;
    vec![
        column("client", Text(|row| row.0.client.to_string())),
        column("server", Text(|row| row.0.server.to_string())),
        column("worst", Text(|row| row.1.worst.name().to_owned())),
        column("service", Text(|row| row.1.service.to_string())),
        column("title", Text(|row| row.1.title.to_string())),
        column("transport", Text(|row| row.1.transport.to_owned())),
        column("ports", Ports(|row| row.1.ports.to_vec())),
        column("flows", Whole(|row| row.1.flows)),
        column("open", Whole(|row| outcome(row, Outcome::Open))),
        column("one_way", Whole(|row| outcome(row, Outcome::OneWay))),
        column("dropped", Whole(|row| outcome(row, Outcome::Dropped))),
        column("refused", Whole(|row| outcome(row, Outcome::Refused))),
        column("rejected", Whole(|row| outcome(row, Outcome::Rejected))),
        column("reply_lost", Whole(|row| outcome(row, Outcome::ReplyLost))),
        column("reset", Whole(|row| outcome(row, Outcome::Reset))),
        column("stalled", Whole(|row| outcome(row, Outcome::Stalled))),
        column("unanswered", Whole(|row| outcome(row, Outcome::Unanswered))),
        column("pending", Whole(|row| outcome(row, Outcome::Pending))),
        column("unknown", Whole(|row| outcome(row, Outcome::Unknown))),
        column("expected", Whole(|row| standing(row, "expected"))),
        column("expected_rpc", Whole(|row| standing(row, "expected_rpc"))),
        column("expected_range", Whole(|row| standing(row, "expected_range"))),
        column("unexpected", Whole(|row| standing(row, "unexpected"))),
        column("uncatalogued", Whole(|row| standing(row, "uncatalogued"))),
        column("not_judged", Whole(|row| standing(row, "not_judged"))),
        column("packets_to_server", Whole(|row| row.1.packets_to_server)),
        column("packets_to_client", Whole(|row| row.1.packets_to_client)),
        column("bytes_to_server", Whole(|row| row.1.bytes_to_server)),
        column("bytes_to_client", Whole(|row| row.1.bytes_to_client)),
        column("first", TimeOrNot(|row| row.1.first)),
        column("last", TimeOrNot(|row| row.1.last)),
        column("handshakes", WholeOrNot(|row| handshake(row, |us| us.count))),
        column("handshake_p50_us", WholeOrNot(|row| handshake(row, |us| us.p50))),
        column("handshake_p99_us", WholeOrNot(|row| handshake(row, |us| us.p99))),
        column("handshake_max_us", WholeOrNot(|row| handshake(row, |us| us.max))),
    ]
}

/// Writes every flow of the judge.
///
/// # Errors
/// Those of the writer.
pub fn write_flows(pages: &Pages<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (collapses, names) = (pages.judge.collapses(), pages.report.findings.names());
    let records = pages.judge.flows().map(|judged| FlowRecord::of(&judged, collapses, names));
    table("flow", &flow_columns(), records, out)
}

/// Writes every service of every host pair.
///
/// # Errors
/// Those of the writer.
pub fn write_pairs(pages: &Pages<'_>, out: &mut dyn Write) -> io::Result<()> {
    table("pair", &pair_columns(), pages.report.pairs.rows(), out)
}

fn table<R>(
    name: &str,
    columns: &[Column<R>],
    mut rows: impl Iterator<Item = R>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let fault = |error: ParquetError| io::Error::other(error);
    let fields: Result<Vec<_>, _> =
        columns.iter().map(|column| column.values.field(column.name).map(Arc::new)).collect();
    let schema = Type::group_type_builder(name).with_fields(fields.map_err(fault)?).build().map_err(fault)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::GZIP(GzipLevel::default()))
        .set_created_by(concat!("portolan version ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let buffer: Vec<u8> = Vec::new();
    let mut writer = SerializedFileWriter::new(buffer, Arc::new(schema), Arc::new(properties)).map_err(fault)?;
    loop {
        let group: Vec<R> = rows.by_ref().take(GROUP_ROWS).collect();
        if group.is_empty() {
            break;
        }
        let mut groups = writer.next_row_group().map_err(fault)?;
        for column in columns {
            if let Some(mut place) = groups.next_column().map_err(fault)? {
                column.values.write(&group, &mut place).map_err(fault)?;
                place.close().map_err(fault)?;
            }
        }
        groups.close().map_err(fault)?;
        writer.flush()?;
        // What is finished leaves at once; the writer counts bytes by itself.
        out.write_all(writer.inner())?;
        writer.inner_mut().clear();
    }
    out.write_all(&writer.into_inner().map_err(fault)?)
}

impl<R> Values<R> {
    fn field(&self, name: &str) -> Result<Type, ParquetError> {
        let (physical, logical) = match self {
            Self::Text(_) | Self::TextOrNot(_) | Self::Texts(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Self::Port(_) | Self::Ports(_) => (Physical::INT32, Some(LogicalType::integer(16, false))),
            Self::Whole(_) | Self::WholeOrNot(_) => (Physical::INT64, None),
            Self::Real(_) => (Physical::DOUBLE, None),
            Self::TimeOrNot(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        };
        let leaf = |name: &str, repetition| {
            Type::primitive_type_builder(name, physical)
                .with_logical_type(logical.clone())
                .with_repetition(repetition)
                .build()
        };
        match self {
            Self::Texts(_) | Self::Ports(_) => {
                let element = leaf("element", Repetition::REQUIRED)?;
                let list = Type::group_type_builder("list")
                    .with_repetition(Repetition::REPEATED)
                    .with_fields(vec![Arc::new(element)])
                    .build()?;
                Type::group_type_builder(name)
                    .with_repetition(Repetition::REQUIRED)
                    .with_logical_type(Some(LogicalType::List))
                    .with_fields(vec![Arc::new(list)])
                    .build()
            }
            Self::TextOrNot(_) | Self::WholeOrNot(_) | Self::TimeOrNot(_) => leaf(name, Repetition::OPTIONAL),
            _ => leaf(name, Repetition::REQUIRED),
        }
    }

    fn write(&self, rows: &[R], place: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        match self {
            Self::Text(of) => {
                let values: Vec<ByteArray> = rows.iter().map(|row| of(row).as_str().into()).collect();
                place.typed::<ByteArrayType>().write_batch(&values, None, None)?;
            }
            Self::TextOrNot(of) => {
                let (values, there) = there(rows, |row| of(row).map(|text| text.as_str().into()));
                place.typed::<ByteArrayType>().write_batch(&values, Some(&there), None)?;
            }
            Self::Texts(of) => {
                let (values, there, begins) =
                    lists(rows, |row| of(row).iter().map(|text| ByteArray::from(text.as_str())).collect());
                place.typed::<ByteArrayType>().write_batch(&values, Some(&there), Some(&begins))?;
            }
            Self::Port(of) => {
                let values: Vec<i32> = rows.iter().map(|row| i32::from(of(row))).collect();
                place.typed::<Int32Type>().write_batch(&values, None, None)?;
            }
            Self::Ports(of) => {
                let (values, there, begins) = lists(rows, |row| of(row).into_iter().map(i32::from).collect());
                place.typed::<Int32Type>().write_batch(&values, Some(&there), Some(&begins))?;
            }
            Self::Whole(of) => {
                let values: Vec<i64> = rows.iter().map(|row| whole(of(row))).collect();
                place.typed::<Int64Type>().write_batch(&values, None, None)?;
            }
            Self::WholeOrNot(of) => {
                let (values, there) = there(rows, |row| of(row).map(whole));
                place.typed::<Int64Type>().write_batch(&values, Some(&there), None)?;
            }
            Self::Real(of) => {
                let values: Vec<f64> = rows.iter().map(of).collect();
                place.typed::<DoubleType>().write_batch(&values, None, None)?;
            }
            Self::TimeOrNot(of) => {
                let (values, there) = there(rows, |row| of(row).map(|moment| whole(moment.0.0 / 1000)));
                place.typed::<Int64Type>().write_batch(&values, Some(&there), None)?;
            }
        }
        Ok(())
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The values that are there, and for each row whether it has one (the definition level).
fn there<R, V>(rows: &[R], of: impl Fn(&R) -> Option<V>) -> (Vec<V>, Vec<i16>) {
    let all: Vec<Option<V>> = rows.iter().map(of).collect();
    let levels = all.iter().map(|value| i16::from(value.is_some())).collect();
    (all.into_iter().flatten().collect(), levels)
}

/// The values of all lists, with their definition and repetition levels: an empty list has one place without a value.
fn lists<R, V>(rows: &[R], of: impl Fn(&R) -> Vec<V>) -> (Vec<V>, Vec<i16>, Vec<i16>) {
    let (mut values, mut there, mut begins) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let list = of(row);
        if list.is_empty() {
            there.push(0);
            begins.push(0);
        }
        for (at, value) in list.into_iter().enumerate() {
            values.push(value);
            there.push(1);
            begins.push(i16::from(at > 0));
        }
    }
    (values, there, begins)
}
