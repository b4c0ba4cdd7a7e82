//! The page: everything a stranger needs to judge a run, in one file without network. Owns its parts and their order; the
//! template escapes every text, only our own drawings go in as they are.

use super::machine::Machine;
use super::plot::Plot;
use askama::Template;
use std::path::Path;

/// A table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Its heading.
    pub title: String,
    /// What it means; may be empty.
    pub note: String,
    /// The columns' names.
    pub head: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

/// A limit of the run and what was seen.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Judged {
    /// What is limited.
    pub what: String,
    /// What is allowed.
    pub allowed: String,
    /// What was seen.
    pub seen: String,
    /// Whether that is within.
    pub met: bool,
}

/// What a report tells.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What kind of run: `run`, `storm`, `soak`, `overload`.
    pub kind: String,
    /// The scenario's name and what it is for.
    pub scenario: (String, String),
    /// The command line.
    pub command: String,
    /// When it began, RFC 3339.
    pub began: String,
    /// Whether everything holds.
    pub holds: bool,
    /// The closing line.
    pub line: String,
    /// What is wrong, if something is.
    pub wrong: Vec<String>,
    /// Limits and what was seen.
    pub limits: Vec<Judged>,
    /// Names and values of the run: seed, chargers, duration, rates.
    pub facts: Vec<(String, String)>,
    /// What a reader should know before believing it.
    pub remarks: Vec<String>,
    /// The machine.
    pub machine: Machine,
    /// Tables.
    pub tables: Vec<Table>,
    /// Headings with their plots.
    pub sections: Vec<(String, Vec<Plot>)>,
}

struct Drawn {
    title: String,
    note: String,
    legend: Vec<(String, String)>,
    svg: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Html<'a> {
    page: &'a Page,
    machine: Vec<(String, String)>,
    sections: Vec<(String, Vec<Drawn>)>,
    version: &'static str,
}

impl Page {
    /// The page as text.
    ///
    /// # Errors
    /// When a plot cannot be drawn.
    pub fn html(&self) -> anyhow::Result<String> {
        let mut sections = Vec::new();
        for (title, plots) in &self.sections {
            let drawn = plots.iter().filter(|p| !p.is_empty()).map(drawn).collect::<anyhow::Result<Vec<_>>>()?;
            if !drawn.is_empty() {
                sections.push((title.clone(), drawn));
            }
        }
        let machine = self.machine.rows();
        Ok(Html { page: self, machine, sections, version: env!("CARGO_PKG_VERSION") }.render()?)
    }

    /// Writes `report.html` into a directory.
    ///
    /// # Errors
    /// When a plot cannot be drawn or the file not written.
    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        Ok(std::fs::write(dir.join("report.html"), self.html()?)?)
    }
}

fn drawn(plot: &Plot) -> anyhow::Result<Drawn> {
    let legend = plot.lines.iter().enumerate().map(|(i, line)| (Plot::colour(i), line.name.clone())).collect();
    Ok(Drawn { title: plot.title.clone(), note: plot.note.clone(), legend, svg: plot.draw()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Scale, Unit};

    fn planted() -> Page {
        let plot = Plot::over_time("Memory <of> the server", Unit::Bytes, Scale::Linear)
            .noting("flat & bounded")
            .line("Pss \"now\"", vec![(0.0, 1e6), (10.0, 2e6)]);
        Page {
            kind: "soak".into(),
            scenario: ("night <script>alert(1)</script>".into(), "a & b".into()),
            command: "loadtest soak --dir 'x<y'".into(),
            began: "2026-01-02T03:04:05.000Z".into(),
            holds: false,
            line: "soak: 3 chargers".into(),
            wrong: vec!["p99 of heartbeats 5 s > 1 s".into()],
            limits: vec![Judged { what: "memory".into(), allowed: "< 1".into(), seen: "2".into(), met: false }],
            facts: vec![("Seed".into(), "7".into())],
            remarks: vec!["the machine was busy".into()],
            machine: Machine { cpu: "Z<80>".into(), cores: 2, ..Machine::default() },
            tables: vec![Table {
                title: "Latencies".into(),
                note: String::new(),
                head: vec!["call".into(), "p99".into()],
                rows: vec![vec!["heartbeat".into(), "1 ms".into()]],
            }],
            sections: vec![("Server".into(), vec![plot, Plot::over_time("empty", Unit::Count, Scale::Log)])],
        }
    }

    fn parsed(html: &str) -> roxmltree::Document<'_> {
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
        roxmltree::Document::parse_with_options(html, options).unwrap()
    }

    fn text_of(node: roxmltree::Node<'_, '_>) -> String {
        node.descendants().filter_map(|n| n.is_text().then(|| n.text()).flatten()).collect()
    }

    #[test]
    fn a_report_is_well_formed_with_the_verdict_first_and_every_text_escaped() {
        let html = planted().html().unwrap();
        let page = parsed(&html);
        let body = page.descendants().find(|n| n.has_tag_name("body")).unwrap();
        let text = text_of(body);
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} is missing"));
        assert!(at("does not hold") < at("p99 of heartbeats 5 s > 1 s"));
        assert!(at("p99 of heartbeats 5 s > 1 s") < at("loadtest soak --dir 'x<y'"));
        assert!(at("loadtest soak --dir 'x<y'") < at("Z<80>") && at("Z<80>") < at("Memory <of> the server"));
        at("night <script>alert(1)</script>");
        at("Pss \"now\"");
        assert_eq!(page.descendants().filter(|n| n.has_tag_name(("http://www.w3.org/2000/svg", "svg"))).count(), 1);
        assert_eq!(
            page.descendants().filter(|n| n.has_tag_name("table")).count(),
            4,
            "facts, limits, machine, latencies"
        );
        assert!(!page.descendants().any(|n| n.has_tag_name("script")));
    }

    #[test]
    fn a_report_needs_nothing_from_elsewhere() {
        let html = planted().html().unwrap();
        for node in parsed(&html).descendants() {
            for attribute in node.attributes() {
                let outside = ["src", "href", "action", "data", "srcset", "poster"].contains(&attribute.name());
                assert!(!outside, "{attribute:?}");
            }
        }
        let without_names = html.replace("http://www.w3.org/2000/svg", "");
        for sign in ["http://", "https://", "url(", "@import", "<link", "<script"] {
            assert!(!without_names.contains(sign), "{sign}");
        }
    }

    #[test]
    fn one_that_holds_says_so() {
        let page = Page { holds: true, wrong: vec![], ..planted() };
        let html = page.html().unwrap();
        assert!(text_of(parsed(&html).root_element()).contains("holds") && !html.contains("does not hold"));
    }
}
