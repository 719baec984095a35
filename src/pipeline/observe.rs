//! Who watches batches on their way. The clock is the watcher's: this room has none.

/// Told of each batch that a worker has counted into its tables.
///
/// Nobody watches a normal run, and `()` is that nobody: nothing of it is left in the code.
pub trait Observer: Default + Send {
    /// A moment of its clock.
    type Moment: Copy + Send;

    /// Now.
    fn now() -> Self::Moment;

    /// A batch (some 256 packets at most) whose bytes were asked for at `asked` has just been counted.
    fn counted(&mut self, asked: Self::Moment);
}

impl Observer for () {
    type Moment = ();

    #[inline]
    fn now() {}

    #[inline]
    fn counted(&mut self, (): ()) {}
}
