//! The text format of Prometheus, version 0.0.4.
//!
//! Its successor, OpenMetrics, names a counter's family without the `_total` of its samples; who reads this format would lose the type
//! of every counter then. It has one writer here because every series is written at one place and read at another.

use crate::Distribution;
use std::fmt::Write as _;

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes both ways.
    Gauge,
    /// How often values of each size were seen.
    Histogram,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Labels of a sample.
pub type Labels<'a> = [(&'a str, &'a str)];

/// A text that is being written.
///
/// ```
/// use wharf_metrics::{Exposition, Kind};
///
/// let mut text = Exposition::default();
/// text.family(Kind::Counter, "visits_total", "How often somebody came").sample(&[("door", "back")], 3.0);
/// assert_eq!(text.finish(), "# HELP visits_total How often somebody came\n# TYPE visits_total counter\nvisits_total{door=\"back\"} 3\n");
/// ```
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// What the text is, for `Content-Type`.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins a family; every family is written once. One without samples leaves nothing in the text.
    pub fn family<'a>(&'a mut self, kind: Kind, name: &'a str, help: &'a str) -> Family<'a> {
        Family { text: &mut self.0, kind, name, help, begun: false }
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }
}

/// Samples of one name.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    kind: Kind,
    name: &'a str,
    help: &'a str,
    begun: bool,
}

impl Family<'_> {
    /// Adds one number.
    pub fn sample(&mut self, labels: &Labels<'_>, value: f64) -> &mut Self {
        self.begin();
        self.line("", labels, None, value);
        self
    }

    /// Adds a histogram.
    #[allow(clippy::cast_precision_loss)] // the format has floats only
    pub fn histogram(&mut self, labels: &Labels<'_>, of: &Distribution) -> &mut Self {
        self.begin();
        for (bound, count) in of.bounds.iter().zip(&of.cumulative) {
            self.line("_bucket", labels, Some(*bound), *count as f64);
        }
        self.line("_bucket", labels, Some(f64::INFINITY), of.count as f64);
        self.line("_sum", labels, None, of.sum);
        self.line("_count", labels, None, of.count as f64);
        self
    }

    fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            let help = self.help.replace('\\', "\\\\").replace('\n', "\\n");
            // Writing to a string does not fail, here and below.
            _ = write!(self.text, "# HELP {0} {help}\n# TYPE {0} {1}\n", self.name, self.kind.word());
        }
    }

    fn line(&mut self, suffix: &str, labels: &Labels<'_>, le: Option<f64>, value: f64) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut open = '{';
        for (name, value) in labels {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            _ = write!(self.text, "{open}{name}=\"{value}\"");
            open = ',';
        }
        if let Some(le) = le {
            _ = write!(self.text, "{open}le=\"{}\"", number(le));
            open = ',';
        }
        if open == ',' {
            self.text.push('}');
        }
        _ = writeln!(self.text, " {}", number(value));
    }
}

fn number(value: f64) -> String {
    if value.is_infinite() { if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_and_hard_labels() {
        let mut text = Exposition::default();
        text.family(Kind::Gauge, "nothing", "Not written");
        let of = Distribution { bounds: &[0.5, 2.0], cumulative: vec![1, 2], sum: 9.25, count: 3 };
        text.family(Kind::Histogram, "took_seconds", "a\\b\nc").histogram(&[("k", "a\"\\\n")], &of).histogram(&[], &of);
        let expected = r#"# HELP took_seconds a\\b\nc
# TYPE took_seconds histogram
took_seconds_bucket{k="a\"\\\n",le="0.5"} 1
took_seconds_bucket{k="a\"\\\n",le="2"} 2
took_seconds_bucket{k="a\"\\\n",le="+Inf"} 3
took_seconds_sum{k="a\"\\\n"} 9.25
took_seconds_count{k="a\"\\\n"} 3
took_seconds_bucket{le="0.5"} 1
took_seconds_bucket{le="2"} 2
took_seconds_bucket{le="+Inf"} 3
took_seconds_sum 9.25
took_seconds_count 3
"#;
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn numbers() {
        assert_eq!(
            [number(25_276_510_208.0), number(0.1), number(f64::NAN), number(f64::NEG_INFINITY)],
            ["25276510208", "0.1", "NaN", "-Inf"]
        );
    }
}
