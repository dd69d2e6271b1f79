//! Whether there is time left. Nothing here knows a clock: whoever redacts says it.

use std::cell::Cell;

/// What is asked; once it says no it is not asked again.
pub struct Time {
    is_left: Box<dyn Fn() -> bool + Send>,
    is_over: Cell<bool>,
}

impl Time {
    /// As long as this says so.
    pub fn new(is_left: impl Fn() -> bool + Send + 'static) -> Self {
        Self { is_left: Box::new(is_left), is_over: Cell::new(false) }
    }

    /// Is there time left?
    pub fn is_left(&self) -> bool {
        if !self.is_over.get() && !(self.is_left)() {
            self.is_over.set(true);
        }
        !self.is_over.get()
    }
}

impl Default for Time {
    /// Without an end.
    fn default() -> Self {
        Self::new(|| true)
    }
}
