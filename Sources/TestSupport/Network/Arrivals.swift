// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Synchronization

/// Clients that come at a steady rate and know nothing of each other: one that waits holds up no other, as it would in a
/// `ClientLoop`.
///
/// ## Concurrency
/// One thread keeps the rate, one thread a client.
package final class Arrivals: Sendable {
    private struct State {
        var rounds: [ClientLoop.Round] = []
        var begun = 0
        var isHeld = false
        var isStopping = false
        var hasStopped = false
    }
    private let state = Mutex(State())

    fileprivate init() {}

    /// Those that have ended, in the order of their ends.
    package var rounds: [ClientLoop.Round] { state.withLock { $0.rounds } }
    package var failures: [String] { rounds.compactMap(\.failure) }
    /// Rounds that began at `start` or later and before `end`.
    package func rounds(from start: ContinuousClock.Instant, to end: ContinuousClock.Instant? = nil)
        -> [ClientLoop.Round]
    {
        rounds.filter { round in round.at >= start && end.map { round.at < $0 } ?? true }
    }

    /// Runs `body` while no client is under way: what it takes away is then in no client's hands. Those who would have come
    /// meanwhile come at once afterwards.
    package func betweenRounds(_ body: () async throws -> Void) async throws {
        state.withLock { $0.isHeld = true }
        defer { state.withLock { $0.isHeld = false } }
        try await waitFor("no client to be under way") { state.withLock { $0.rounds.count >= $0.begun } }
        try await body()
    }

    fileprivate func start(perSecond rate: Int, in network: Network, _ round: @escaping @Sendable () throws -> String) {
        startThread {
            do {
                try network.enter()
            } catch {
                self.note(.failure(error), since: .now)
                return self.state.withLock { $0.hasStopped = true }
            }
            let first = ContinuousClock.now
            var count = 0
            while !self.state.withLock({ $0.isStopping }) {
                if self.beginRound() {
                    count += 1
                    // In the network of the thread that starts it.
                    startThread {
                        let start = ContinuousClock.now
                        self.note(Result { try round() }, since: start)
                    }
                }
                let due = first + .seconds(Double(count) / Double(rate))
                blockThread(for: max(.milliseconds(1), due - .now))
            }
            self.state.withLock { $0.hasStopped = true }
        }
    }

    private func beginRound() -> Bool {
        state.withLock { state in
            if !state.isHeld { state.begun += 1 }
            return !state.isHeld
        }
    }

    private func note(_ result: Result<String, any Error>, since start: ContinuousClock.Instant) {
        let took = ContinuousClock.now - start
        let round: ClientLoop.Round
        switch result {
        case .success(let name): round = ClientLoop.Round(at: start, took: took, name: name, failure: nil)
        case .failure(let error): round = ClientLoop.Round(at: start, took: took, name: nil, failure: "\(error)")
        }
        state.withLock { $0.rounds.append(round) }
    }

    fileprivate func stop() async throws {
        state.withLock { $0.isStopping = true }
        try await waitFor("the last of the clients to end", within: .seconds(60)) {
            state.withLock { $0.hasStopped && $0.rounds.count >= $0.begun }
        }
    }
}

/// New clients for as long as `body` runs; afterwards every one of them has ended.
/// - Parameter round: one client from its connect to its end; gives the name of who served it.
@discardableResult
package func withArrivals<Result>(
    perSecond rate: Int, in network: Network = .own, _ round: @escaping @Sendable () throws -> String,
    _ body: (Arrivals) async throws -> Result
) async throws -> Result {
    let arrivals = Arrivals()
    arrivals.start(perSecond: rate, in: network, round)
    do {
        let result = try await body(arrivals)
        try await arrivals.stop()
        return result
    } catch {
        try? await arrivals.stop()
        throw error
    }
}
