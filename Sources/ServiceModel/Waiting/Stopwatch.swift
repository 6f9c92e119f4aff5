// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

extension Clock where Duration == Swift.Duration {
    /// Time since the call of this, for state machines, which count time from their own beginning.
    package func stopwatch() -> @Sendable () -> Duration {
        let start = now
        return { start.duration(to: self.now) }
    }
}
