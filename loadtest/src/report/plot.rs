//! Lines as SVG. Owns how a plot looks; never what it shows. No fonts of the system are read: the browser sets the text.

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use std::fmt::Debug;

/// Points drawn of one line; more are thinned to the worst of each stretch.
const POINTS_MAX: usize = 600;
/// The picture's size; the page scales it.
const SIZE: (u32, u32) = (720, 260);
/// Colours that people with any colour vision tell apart (Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
    RGBColor(140, 100, 20),
];

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is, for the legend.
    pub name: String,
    /// Its points, x rising.
    pub points: Vec<(f64, f64)>,
}

/// How values are spaced and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly, from 0.
    Linear,
    /// By powers of ten: latencies.
    Log,
}

/// What the numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Plain numbers.
    Count,
    /// Bytes, written with their unit.
    Bytes,
    /// Microseconds, written with their unit.
    Micros,
    /// Seconds of the run, written as s, min or h.
    RunTime,
    /// Shares below: 0, 1, 2 … nines, written as percentiles.
    Nines,
}

impl Unit {
    /// A value as text.
    pub fn text(self, v: f64) -> String {
        match self {
            Unit::Count if v.abs() >= 10_000.0 => format!("{:.0}k", v / 1e3),
            Unit::Count if v.fract().abs() < 0.001 => format!("{v:.0}"),
            Unit::Count => format!("{v:.2}"),
            Unit::Bytes if v.abs() >= 1e9 => format!("{:.2} GB", v / 1e9),
            Unit::Bytes if v.abs() >= 1e6 => format!("{:.1} MB", v / 1e6),
            Unit::Bytes => format!("{:.1} kB", v / 1e3),
            Unit::Micros if v >= 1e6 => format!("{:.1} s", v / 1e6),
            Unit::Micros if v >= 1e3 => format!("{:.1} ms", v / 1e3),
            Unit::Micros => format!("{v:.0} us"),
            Unit::RunTime if v >= 7_200.0 => format!("{:.1} h", v / 3_600.0),
            Unit::RunTime if v >= 180.0 => format!("{:.0} min", v / 60.0),
            Unit::RunTime => format!("{v:.0} s"),
            Unit::Nines if v <= 0.0 => "min".to_owned(),
            Unit::Nines if v < 1.5 => format!("p{:.0}", 100.0 - 100.0 * 10_f64.powf(-v)),
            Unit::Nines => format!("p{}", (1_000.0 - 1_000.0 * 10_f64.powf(-v)).round() / 10.0),
        }
    }
}

/// A plot before it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// What to look for, or how to read it; may be empty.
    pub note: String,
    /// The lines.
    pub lines: Vec<Line>,
    /// The values' unit.
    pub unit: Unit,
    /// The unit along x.
    pub along: Unit,
    /// The values' spacing.
    pub scale: Scale,
}

impl Plot {
    /// Values over the time of the run.
    pub fn over_time(title: &str, unit: Unit, scale: Scale) -> Plot {
        Plot { title: title.into(), note: String::new(), lines: Vec::new(), unit, along: Unit::RunTime, scale }
    }

    /// The same with a remark.
    #[must_use]
    pub fn noting(mut self, note: &str) -> Plot {
        note.clone_into(&mut self.note);
        self
    }

    /// The same with one more line; one without points is left out.
    #[must_use]
    pub fn line(mut self, name: &str, points: Vec<(f64, f64)>) -> Plot {
        if !points.is_empty() {
            self.lines.push(Line { name: name.into(), points });
        }
        self
    }

    /// Whether there is something to draw.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The colour of a line, as CSS has it.
    pub fn colour(index: usize) -> String {
        let RGBColor(r, g, b) = COLOURS[index % COLOURS.len()];
        format!("#{r:02x}{g:02x}{b:02x}")
    }

    /// The SVG element.
    ///
    /// # Errors
    /// When a value is no number that can be drawn.
    pub fn draw(&self) -> anyhow::Result<String> {
        let all = || self.lines.iter().flat_map(|l| l.points.iter()).filter(|p| p.0.is_finite() && p.1.is_finite());
        let x0 = all().map(|p| p.0).fold(f64::INFINITY, f64::min);
        let x1 = all().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
        anyhow::ensure!(x0.is_finite(), "{} has no point", self.title);
        let top = all().map(|p| p.1).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
        let x = if x1 > x0 { x0..x1 } else { x0..x0 + 1.0 };
        let mut svg = String::new();
        match self.scale {
            Scale::Linear => self.draw_on::<RangedCoordf64, _>(&mut svg, x, 0.0..(top * 1.08).max(1e-3))?,
            Scale::Log => {
                let least = all().map(|p| p.1).filter(|v| *v > 0.0).fold(top, f64::min);
                let (low, high) = (10_f64.powf(least.log10().floor()), 10_f64.powf(top.log10().ceil()));
                let high = if high > low { high } else { low * 10.0 };
                self.draw_on(&mut svg, x, (low..high).log_scale())?;
            }
        }
        Ok(svg)
    }

    fn draw_on<Y, R>(&self, svg: &mut String, x: std::ops::Range<f64>, y: R) -> anyhow::Result<()>
    where
        R: AsRangedCoord<CoordDescType = Y, Value = f64>,
        Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let wrong = |e: &dyn Debug| anyhow::anyhow!("{}: {e:?}", self.title);
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(74)
            .build_cartesian_2d(x, y)
            .map_err(|e| wrong(&e))?;
        chart
            .configure_mesh()
            .x_labels(if self.along == Unit::Nines { 4 } else { 8 })
            .y_labels(6)
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(225, 225, 225))
            .axis_style(RGBColor(120, 120, 120))
            .label_style(("sans-serif", 12))
            .x_label_formatter(&|v| self.along.text(*v))
            .y_label_formatter(&|v| self.unit.text(*v))
            .draw()
            .map_err(|e| wrong(&e))?;
        for (i, line) in self.lines.iter().enumerate() {
            let style = COLOURS[i % COLOURS.len()].stroke_width(if line.points.len() > 200 { 1 } else { 2 });
            chart.draw_series(LineSeries::new(thinned(&line.points), style)).map_err(|e| wrong(&e))?;
        }
        area.present().map_err(|e| wrong(&e))
    }
}

/// At most [`POINTS_MAX`] points: of each stretch the least and the largest, so that no peak is hidden.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let good: Vec<_> = points.iter().copied().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
    if good.len() <= POINTS_MAX {
        return good;
    }
    let per = good.len().div_ceil(POINTS_MAX / 2);
    let both = |stretch: &[(f64, f64)]| {
        let low = stretch.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
        let high = stretch.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
        let mut both: Vec<_> = low.into_iter().chain(high).collect();
        both.sort_by(|a, b| a.0.total_cmp(&b.0));
        both
    };
    good.chunks(per).flat_map(both).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_well_formed_and_names_no_file_and_no_network() {
        let plot = Plot::over_time("memory", Unit::Bytes, Scale::Linear)
            .line("Pss", vec![(0.0, 1e6), (60.0, 3e8)])
            .line("nothing", vec![]);
        let svg = plot.draw().unwrap();
        let parsed = roxmltree::Document::parse(&svg).unwrap();
        assert_eq!(parsed.root_element().tag_name().name(), "svg");
        assert_eq!(
            parsed.descendants().filter(|n| n.has_tag_name(("http://www.w3.org/2000/svg", "polyline"))).count() >= 1,
            true
        );
        assert!(svg.contains("MB") && !svg.contains("href"));
        assert_eq!(plot.lines.len(), 1);
    }

    #[test]
    fn flat_lines_single_points_and_log_scales_are_drawn_and_nothing_at_all_is_an_error() {
        for scale in [Scale::Linear, Scale::Log] {
            let plot = |points: &[(f64, f64)]| Plot::over_time("x", Unit::Micros, scale).line("a", points.to_vec());
            for points in [&[(0.0, 0.0)][..], &[(5.0, 100.0)], &[(0.0, 7.0), (1.0, 7.0)], &[(0.0, 1.0), (9.0, 1e7)]] {
                assert!(plot(points).draw().is_ok(), "{scale:?} {points:?}");
            }
            assert!(plot(&[(f64::NAN, 1.0)]).draw().is_err() && plot(&[]).draw().is_err());
        }
    }

    #[test]
    fn thinning_keeps_the_peak() {
        let points: Vec<_> = (0..100_000).map(|i| (f64::from(i), if i == 54_321 { 9.0 } else { 1.0 })).collect();
        let thin = thinned(&points);
        assert!(thin.len() <= POINTS_MAX && thin.iter().any(|p| p.1 > 8.0), "{}", thin.len());
        assert!(thin.windows(2).all(|w| w[0].0 <= w[1].0));
    }

    #[test]
    fn values_are_written_for_people() {
        for (unit, value, text) in [
            (Unit::Count, 3.0, "3"),
            (Unit::Count, 0.25, "0.25"),
            (Unit::Count, 15_000.0, "15k"),
            (Unit::Bytes, 2_500_000.0, "2.5 MB"),
            (Unit::Micros, 1_500.0, "1.5 ms"),
            (Unit::RunTime, 600.0, "10 min"),
            (Unit::Nines, 0.0, "min"),
            (Unit::Nines, 0.5, "p68"),
            (Unit::Nines, 2.0, "p99"),
            (Unit::Nines, 2.5, "p99.7"),
            (Unit::Nines, 3.0, "p99.9"),
        ] {
            assert_eq!(unit.text(value), text);
        }
    }
}
