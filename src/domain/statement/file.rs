//! The bytes of a statement: CSV and JSON, piece by piece, and their SHA-256. Owns the form; the same lines make the same bytes
//! for ever, so a file need not be kept: it is made again and compared with the digest in the journal.
//!
//! CSV is RFC 4180 with a header. A cell of text that a spreadsheet would take for a formula is written with `'` before it.

use super::days::Open;
use super::line::Line;
use super::totals::Totals;
use crate::ids::PartnerId;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// RFC 4180.
    Csv,
    /// One JSON object.
    Json,
}

/// The columns of the CSV.
pub const COLUMNS: [&str; 22] = [
    "order_id",
    "line",
    "corrects",
    "settled_at",
    "session_id",
    "charger_id",
    "connector_id",
    "site_id",
    "kind",
    "payer",
    "started_at",
    "ended_at",
    "energy_wh",
    "electricity_minor",
    "service_minor",
    "other_minor",
    "total_minor",
    "currency",
    "tariff_id",
    "tariff_version",
    "first_settled_at",
    "note",
];

/// The lines could not be put into form. Text and numbers always can: a defect.
#[derive(Debug, thiserror::Error)]
#[error("a line has no written form: {0}")]
pub struct NoForm(String);

/// A line as it is written.
#[derive(Debug, Serialize)]
pub struct Written<'a> {
    order_id: String,
    line: &'a str,
    corrects: bool,
    settled_at: String,
    session_id: String,
    charger_id: &'a str,
    connector_id: u16,
    site_id: Option<&'a str>,
    kind: &'static str,
    payer: &'static str,
    started_at: String,
    ended_at: String,
    energy_wh: i64,
    electricity_minor: i64,
    service_minor: i64,
    other_minor: i64,
    total_minor: i64,
    currency: &'static str,
    tariff_id: &'a str,
    tariff_version: u32,
    first_settled_at: String,
    note: Option<&'a str>,
}

impl<'a> From<&'a Line> for Written<'a> {
    fn from(line: &'a Line) -> Self {
        Written {
            order_id: line.order.to_string(),
            line: &line.number,
            corrects: line.corrects,
            settled_at: line.at.to_rfc3339(),
            session_id: line.session.to_string(),
            charger_id: &line.charger,
            connector_id: line.connector.0,
            site_id: line.site.as_ref().map(|site| site.as_str()),
            kind: line.kind(),
            payer: line.payer(),
            started_at: line.started.to_rfc3339(),
            ended_at: line.ended.to_rfc3339(),
            energy_wh: line.figures.energy_wh,
            electricity_minor: line.figures.electricity,
            service_minor: line.figures.service,
            other_minor: line.figures.other,
            total_minor: line.figures.total,
            currency: line.currency.code(),
            tariff_id: line.tariff.as_str(),
            tariff_version: line.version,
            first_settled_at: line.first_at.to_rfc3339(),
            note: line.note.as_deref(),
        }
    }
}

/// A text that no spreadsheet takes for a formula.
pub fn safe(text: &str) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if risky { format!("'{text}") } else { text.to_owned() }
}

impl Written<'_> {
    fn cells(&self) -> [String; 22] {
        let text = |text: Option<&str>| text.map(safe).unwrap_or_default();
        [
            safe(&self.order_id),
            safe(self.line),
            self.corrects.to_string(),
            self.settled_at.clone(),
            safe(&self.session_id),
            safe(self.charger_id),
            self.connector_id.to_string(),
            text(self.site_id),
            self.kind.to_owned(),
            self.payer.to_owned(),
            self.started_at.clone(),
            self.ended_at.clone(),
            self.energy_wh.to_string(),
            self.electricity_minor.to_string(),
            self.service_minor.to_string(),
            self.other_minor.to_string(),
            self.total_minor.to_string(),
            self.currency.to_owned(),
            safe(self.tariff_id),
            self.tariff_version.to_string(),
            self.first_settled_at.clone(),
            text(self.note),
        ]
    }
}

/// What stands before the lines of the JSON form.
#[derive(Debug, Serialize)]
struct Head<'a> {
    partner_id: &'a PartnerId,
    statement_id: &'a crate::ids::StatementId,
    from: String,
    until: String,
    time_zone: &'a str,
}

/// A file while it is written.
#[derive(Debug)]
pub struct File {
    format: Format,
    totals: Totals,
    lines: u64,
    digest: Sha256,
    bytes: u64,
}

impl File {
    /// The file of that stretch, and its first bytes.
    ///
    /// # Errors
    /// See [`NoForm`].
    pub fn begin(format: Format, partner: &PartnerId, open: &Open) -> Result<(Self, Vec<u8>), NoForm> {
        let mut file = File { format, totals: Totals::default(), lines: 0, digest: Sha256::new(), bytes: 0 };
        let mut out = Vec::new();
        match format {
            Format::Csv => csv(&mut out, [COLUMNS.map(str::to_owned)])?,
            Format::Json => {
                let (from, until) = (open.from.to_rfc3339(), open.until.to_rfc3339());
                let head = Head { partner_id: partner, statement_id: &open.id, from, until, time_zone: &open.zone };
                out = json(&head)?;
                // The object stays open for its lines.
                out.pop();
                out.extend_from_slice(b",\"lines\":[");
            }
        }
        file.count(&out);
        Ok((file, out))
    }

    /// The bytes of the next lines.
    ///
    /// # Errors
    /// See [`NoForm`].
    pub fn lines(&mut self, lines: &[Line]) -> Result<Vec<u8>, NoForm> {
        let mut out = Vec::with_capacity(lines.len() * 400);
        match self.format {
            Format::Csv => csv(&mut out, lines.iter().map(|line| Written::from(line).cells()))?,
            Format::Json => {
                for line in lines {
                    out.extend_from_slice(if self.lines == 0 { b"\n" } else { b",\n" });
                    out.extend_from_slice(&json(&Written::from(line))?);
                    self.totals.add(line, &[]);
                    self.lines += 1;
                }
            }
        }
        self.count(&out);
        Ok(out)
    }

    /// The last bytes, and what all of them come to.
    ///
    /// # Errors
    /// See [`NoForm`].
    pub fn end(mut self) -> Result<(Vec<u8>, Sum), NoForm> {
        let out = match self.format {
            Format::Csv => Vec::new(),
            Format::Json => [&b"\n],\"totals\":"[..], &json(&self.totals)?, b"}\n"].concat(),
        };
        self.count(&out);
        Ok((out, Sum { sha256: hex::encode(self.digest.finalize()).into(), bytes: self.bytes }))
    }

    fn count(&mut self, out: &[u8]) {
        self.digest.update(out);
        self.bytes += out.len() as u64;
    }
}

/// What a file comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Sum {
    /// Lower-case hex.
    pub sha256: Box<str>,
    /// How many bytes.
    pub bytes: u64,
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, NoForm> {
    serde_json::to_vec(value).map_err(|error| NoForm(error.to_string()))
}

fn csv(out: &mut Vec<u8>, rows: impl IntoIterator<Item = [String; 22]>) -> Result<(), NoForm> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    for row in rows {
        writer.write_record(&row).map_err(|error| NoForm(error.to_string()))?;
    }
    writer.flush().map_err(|error| NoForm(error.to_string()))
}

/// A statement while it is made: both files and the sums, in one pass.
#[derive(Debug)]
pub struct Making {
    csv: File,
    json: File,
    totals: Totals,
}

/// What was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Made {
    /// Lines.
    pub lines: u64,
    /// What they come to, with shares.
    pub totals: Totals,
    /// The CSV file.
    pub csv: Sum,
    /// The JSON file.
    pub json: Sum,
}

impl Making {
    /// Begins.
    ///
    /// # Errors
    /// See [`NoForm`].
    pub fn begin(partner: &PartnerId, open: &Open) -> Result<Self, NoForm> {
        let (csv, _) = File::begin(Format::Csv, partner, open)?;
        let (json, _) = File::begin(Format::Json, partner, open)?;
        Ok(Making { csv, json, totals: Totals::default() })
    }

    /// Takes the next lines, in order of their keys.
    ///
    /// # Errors
    /// See [`NoForm`].
    pub fn lines(&mut self, lines: &[Line], rules: &[super::shares::Rule]) -> Result<(), NoForm> {
        self.csv.lines(lines)?;
        self.json.lines(lines)?;
        lines.iter().for_each(|line| self.totals.add(line, rules));
        Ok(())
    }

    /// What it comes to.
    ///
    /// # Errors
    /// See [`NoForm`].
    pub fn end(self) -> Result<Made, NoForm> {
        let ((_, csv), (_, json)) = (self.csv.end()?, self.json.end()?);
        Ok(Made { lines: self.totals.lines(), totals: self.totals, csv, json })
    }
}
