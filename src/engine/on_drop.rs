//! A function that is called when nothing holds a value any more.

/// Calls a function when it is dropped.
pub struct OnDrop(Option<Box<dyn FnOnce() + Send + Sync>>);

impl OnDrop {
    pub fn new(function: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(function)))
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(function) = self.0.take() {
            function();
        }
    }
}
