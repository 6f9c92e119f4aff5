// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Synchronization

/// Counts reads that any member may answer, so that one without a leader is not left in the middle of them.
struct UnconfirmedReads: Equatable {
    private(set) var underWay = 0
    private(set) var begun = 0

    mutating func begin() {
        underWay += 1
        begun += 1
    }

    mutating func end() { underWay -= 1 }
}

extension EtcdClient {
    /// Between two looks; also what a reader has at least for its next question, so that one after the other finds the
    /// member.
    private static let readerInterval = Duration.milliseconds(50)

    /// Lets a member without a leader answer those who ask for what any member knows, before it is left for the next.
    /// - Returns: whether anybody asked.
    func answerReaders(on connection: EtcdConnection) async throws -> Bool {
        readable.put(connection)
        defer { readable.clear(after: nil) }
        // Another member may have a leader meanwhile.
        let end = ContinuousClock.now + configuration.attemptTimeout
        let first = unconfirmedReads.withLock { $0 }
        var last = first
        while ContinuousClock.now < end {
            let now = unconfirmedReads.withLock { $0 }
            // Idle at two looks in a row: nobody asked in between, or is about to.
            if now.underWay == 0, now == last { break }
            last = now
            try await Task.sleep(for: Self.readerInterval)
        }
        return first.underWay > 0 || last.begun > first.begun
    }
}
