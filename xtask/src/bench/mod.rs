//! Benchmarks: both sides in one run, printed as ratios, because machines are noisy.

pub(crate) mod edge;
pub(crate) mod server;
pub(crate) mod up;

mod deployment;

/// Smallest, median and largest of some figures.
pub(crate) struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    /// Of at least one figure.
    pub(crate) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        Self { least: at(0), median: at(figures.len() / 2), most: at(figures.len().saturating_sub(1)) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { least, median, most } = self;
        write!(f, "{median:>10.1} ({least:.1} to {most:.1})")
    }
}

/// One line of a table: what, the figure, what was aimed at.
pub(crate) fn row(what: &str, figure: &impl std::fmt::Display, aim: &str) {
    println!("{what:<44} {figure:<34} {aim}");
}
