//! Boot: what a container's record says, against what is found of its monitor. A pure table, so that every row is tested.

/// What the record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It runs, or waits for a restart by its policy.
    Running,
    /// Created or exited.
    Stopped,
}

/// What is found under the exec root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The monitor answers and the process runs (or is frozen).
    Running,
    /// The monitor answers, but the process was never started: the daemon died between create and start.
    Prepared,
    /// The monitor is gone or about to go; it left an exit record.
    Exited,
    /// A task directory, no monitor and no exit record: the monitor was killed.
    Lost,
    /// Nothing: a reboot, or a clean end.
    Nothing,
}

/// What boot does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take the running task over. `record` is rewritten when it said otherwise (a crash between start and commit).
    Adopt,
    /// Commit the exit that was found, then apply the restart policy.
    CommitExit,
    /// Kill what is left, commit exit 137 `monitor lost`, then apply the restart policy.
    CommitLost,
    /// The host restarted: commit exit 255, then apply the restart policy.
    CommitReboot,
    /// Remove the leftovers of a start that never finished; the record stays as it is.
    Discard,
    /// The record is right.
    Keep,
}

/// The table of the plan of record (flow C, step 7).
pub fn action(recorded: Recorded, found: Found) -> Action {
    match (recorded, found) {
        (_, Found::Running) => Action::Adopt,
        (Recorded::Running, Found::Exited) => Action::CommitExit,
        (Recorded::Running, Found::Prepared | Found::Lost) => Action::CommitLost,
        (Recorded::Running, Found::Nothing) => Action::CommitReboot,
        // It started, ran and ended between the last commit and the crash, or the exit was committed and not yet tidied
        // up; the exit record tells which by its start time.
        (Recorded::Stopped, Found::Exited) => Action::CommitExit,
        (Recorded::Stopped, Found::Prepared | Found::Lost) => Action::Discard,
        (Recorded::Stopped, Found::Nothing) => Action::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recorded() -> impl Strategy<Value = Recorded> {
        prop_oneof![Just(Recorded::Running), Just(Recorded::Stopped)]
    }
    fn found() -> impl Strategy<Value = Found> {
        prop_oneof![Just(Found::Running), Just(Found::Prepared), Just(Found::Exited), Just(Found::Lost), Just(Found::Nothing)]
    }

    proptest! {
        #[test]
        fn a_live_process_is_never_dropped(r in recorded()) {
            prop_assert_eq!(action(r, Found::Running), Action::Adopt);
        }

        #[test]
        fn nothing_stays_recorded_as_running_without_a_process(f in found()) {
            let a = action(Recorded::Running, f);
            prop_assert!(f == Found::Running || !matches!(a, Action::Keep | Action::Discard | Action::Adopt));
        }

        #[test]
        fn leftovers_are_always_dealt_with(r in recorded(), f in found()) {
            prop_assert!(f == Found::Nothing || action(r, f) != Action::Keep);
        }

        /// After the action the record and the world agree, so that a second boot (a crash during the first) keeps them.
        #[test]
        fn a_second_boot_changes_nothing_more(r in recorded(), f in found()) {
            let (r2, f2) = match action(r, f) {
                Action::Adopt => (Recorded::Running, Found::Running),
                Action::Keep | Action::Discard => (r, Found::Nothing),
                Action::CommitExit | Action::CommitLost | Action::CommitReboot => (Recorded::Stopped, Found::Nothing),
            };
            prop_assert!(matches!(action(r2, f2), Action::Adopt | Action::Keep));
        }
    }
}
