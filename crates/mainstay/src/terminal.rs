//! Readers of a run's events: bars on a terminal, lines in a pipe, JSON for programs.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use plan::{Event, Reader, Unit};

use crate::printer::Printer;

/// The reader that suits the printer.
pub(crate) fn reader(printer: Printer) -> Box<dyn Reader> {
    if printer.json {
        Box::new(Lines { printer })
    } else {
        Box::new(Steps { printer, bar: None, headings: Vec::new() })
    }
}

/// Every event, a JSON line each.
struct Lines {
    printer: Printer,
}

impl Reader for Lines {
    fn read(&mut self, event: &Event) {
        self.printer.data(event);
    }
}

/// A line a step; on a terminal the running one moves.
struct Steps {
    printer: Printer,
    bar: Option<ProgressBar>,
    headings: Vec<plan::Heading>,
}

impl Steps {
    fn title(&self, index: usize) -> String {
        self.headings.get(index).map(|heading| heading.title.clone()).unwrap_or_default()
    }

    fn start(&mut self, title: String) {
        if !self.printer.draws() {
            return;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{spinner} {prefix} {msg}"));
        bar.set_prefix(title);
        bar.enable_steady_tick(Duration::from_millis(80));
        self.bar = Some(bar);
    }

    fn amount(&self, done: u64, total: Option<u64>, unit: Unit) {
        if let Some(bar) = &self.bar {
            if bar.position() == 0 {
                // What was there before did not come at this rate.
                bar.set_position(done);
                bar.reset_eta();
            }
            bar.set_length(total.unwrap_or(done));
            bar.set_position(done);
            let counted = match unit {
                Unit::Bytes => {
                    "{spinner} {prefix} {bar:24} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left"
                }
                Unit::Items => "{spinner} {prefix} {bar:24} {pos}/{len}",
            };
            bar.set_style(style(counted));
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn end(&mut self, line: &str) {
        self.clear();
        self.printer.say(line);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

impl Reader for Steps {
    fn read(&mut self, event: &Event) {
        match event {
            Event::RunStarted { title, recovery, steps, .. } => {
                self.headings.clone_from(steps);
                match recovery {
                    Some(_) => self
                        .printer
                        .say(&format!("Going on where an earlier command was interrupted: {title}")),
                    None => self.printer.say(title),
                }
            }
            Event::Waiting { text, .. } => match &self.bar {
                Some(bar) => bar.suspend(|| self.printer.say(text)),
                None => self.printer.say(text),
            },
            Event::Replanned { title } => {
                self.printer.say(&format!(
                    "Another command changed what this plan was made from; the new plan: {title}"
                ));
            }
            Event::StepStarted { place } => self.start(self.title(place.index)),
            Event::UndoStarted { undo, .. } => self.start(undo.clone()),
            Event::Progress { done, total, unit, .. } => self.amount(*done, *total, *unit),
            Event::Said { text, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("({text})"));
                }
            }
            Event::StepSucceeded { place, ms } => {
                self.end(&format!("  ✓ {}{}", self.title(place.index), took(*ms)));
            }
            Event::StepFailed { place, failure, .. } => {
                self.end(&format!("  ✗ {}: {}", self.title(place.index), failure.message));
            }
            Event::UndoFinished { place, .. } => {
                self.end(&format!("  ↶ undone: {}", self.title(place.index)));
            }
            Event::UndoFailed { place, failure, .. } => {
                self.end(&format!("  ✗ not undone: {}: {}", self.title(place.index), failure.message));
            }
            Event::RunFinished { .. } => {}
        }
    }
}

/// Works that are no steps of a plan: a bar for each on a terminal, a line in a pipe.
pub(crate) struct Bar {
    steps: Steps,
    title: String,
    begun: Instant,
}

impl Bar {
    /// How often amounts are worth showing.
    pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

    pub(crate) fn new(printer: Printer) -> Self {
        let steps = Steps { printer, bar: None, headings: Vec::new() };
        Self { steps, title: String::new(), begun: Instant::now() }
    }

    /// A work begins; the one before it is done.
    pub(crate) fn begin(&mut self, title: &str) {
        self.end(true);
        title.clone_into(&mut self.title);
        self.begun = Instant::now();
        self.steps.start(title.to_owned());
    }

    /// So many bytes are done.
    pub(crate) fn bytes(&mut self, done: u64, total: u64) {
        self.steps.amount(done, Some(total), Unit::Bytes);
    }

    /// The last work has ended.
    pub(crate) fn end(&mut self, well: bool) {
        if self.title.is_empty() {
            return;
        }
        let took = took(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        let (mark, took) = if well { ("✓", took) } else { ("✗", String::new()) };
        let line = format!("  {mark} {}{took}", self.title);
        self.title.clear();
        if self.steps.printer.json { self.steps.clear() } else { self.steps.end(&line) }
    }
}

/// A duration, left out where it says nothing.
fn took(ms: u64) -> String {
    match ms {
        0..100 => String::new(),
        100..10_000 => format!(" ({:.1} s)", Duration::from_millis(ms).as_secs_f64()),
        _ => format!(" ({} s)", ms / 1000),
    }
}
