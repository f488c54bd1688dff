//! Readers of a run's events: bars on a terminal, lines in a pipe, JSON for programs.

use std::time::Duration;

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

    fn end(&mut self, line: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
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
            Event::StepStarted { place } => self.start(self.title(place.index)),
            Event::UndoStarted { undo, .. } => self.start(undo.clone()),
            Event::Progress { done, total, unit, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_length(total.unwrap_or(*done));
                    bar.set_position(*done);
                    let counted = match unit {
                        Unit::Bytes => "{spinner} {prefix} {bar:24} {bytes}/{total_bytes}",
                        Unit::Items => "{spinner} {prefix} {bar:24} {pos}/{len}",
                    };
                    bar.set_style(style(counted));
                }
            }
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

/// A duration, left out where it says nothing.
fn took(ms: u64) -> String {
    match ms {
        0..100 => String::new(),
        100..10_000 => format!(" ({:.1} s)", Duration::from_millis(ms).as_secs_f64()),
        _ => format!(" ({} s)", ms / 1000),
    }
}
