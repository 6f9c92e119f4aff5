// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc
internal import Synchronization

/// A listening socket that one or several workers accept from: open until the last of them, and the engine, let go.
final class Listener: Sendable {
    let descriptor: Int32
    private let isOwned = Atomic<Bool>(true)

    init(adopting descriptor: Int32) { self.descriptor = descriptor }

    deinit {
        if isOwned.load(ordering: .acquiring) { close(descriptor) }
    }

    /// Gives the descriptor away, open: only after all workers have stopped using it. Nil the second time.
    func relinquish() -> Int32? {
        isOwned.exchange(false, ordering: .acquiringAndReleasing) ? descriptor : nil
    }
}
