// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel
import Synchronization

/// A client that connects again and again, asks who serves it, and remembers every answer: the user's view of whatever
/// a test does meanwhile. Its backends are of the kind `Backend.naming`.
package final class ClientLoop: Sendable {
    package struct Round: Sendable {
        package let at: ContinuousClock.Instant
        package let took: Duration
        /// The name of the backend, nil when the round failed.
        package let name: String?
        package let failure: String?
    }

    private struct State {
        var rounds: [Round] = []
        var isStopping = false
        var hasEnded = false
    }
    private let state = Mutex(State())
    /// Held during a round.
    private let round = Mutex(())

    private init() {}

    /// Runs `body` while no round is under way: what it takes away is then in no client's hands.
    package func betweenRounds(_ body: @escaping @Sendable () -> Void) async throws {
        try await blocking { self.round.withLock { _ in body() } }
    }

    package var rounds: [Round] { state.withLock { $0.rounds } }
    package var failures: [String] { rounds.compactMap(\.failure) }
    /// Rounds served, by name.
    package var counts: [String: Int] {
        rounds.reduce(into: [:]) { counts, round in round.name.map { counts[$0, default: 0] += 1 } }
    }
    package func names(since instant: ContinuousClock.Instant) -> Set<String> {
        Set(rounds.filter { $0.at >= instant }.compactMap(\.name))
    }

    /// One round by itself: connects, reads the name, says something and hears it back.
    package static func round(to endpoint: Endpoint, limit: Duration = .seconds(10)) throws -> String {
        let connection = try TCPConnection.connect(to: endpoint, limit: limit)
        guard let name = try connection.receiveLine() else { throw SocketFailure("end before a name", 0) }
        guard try connection.exchange("hello") == "hello" else { throw SocketFailure("no echo", 0) }
        return name
    }

    fileprivate static func start(
        to endpoint: Endpoint, in network: Network, pause: Duration, limit: Duration
    ) -> ClientLoop {
        let loop = ClientLoop()
        startThread {
            do {
                try network.enter()
            } catch {
                let round = Round(at: .now, took: .zero, name: nil, failure: "\(error)")
                loop.state.withLock { $0 = State(rounds: [round], isStopping: true) }
            }
            while !loop.state.withLock({ $0.isStopping }) {
                let start = ContinuousClock.now
                let result = loop.round.withLock { _ in Result { try round(to: endpoint, limit: limit) } }
                let took = ContinuousClock.now - start
                loop.state.withLock { state in
                    switch result {
                    case .success(let name): state.rounds.append(Round(at: start, took: took, name: name, failure: nil))
                    case .failure(let error):
                        state.rounds.append(Round(at: start, took: took, name: nil, failure: "\(error)"))
                    }
                }
                blockThread(for: pause)
            }
            loop.state.withLock { $0.hasEnded = true }
        }
        return loop
    }

    fileprivate func stop() async throws {
        state.withLock { $0.isStopping = true }
        try await waitFor("end of the client loop") { state.withLock { $0.hasEnded } }
    }
}

/// Runs a client loop for as long as `body` does; afterwards all its rounds are there.
/// - Parameter roundLimit: of each step of a round.
@discardableResult
package func withClientLoop<Result>(
    to endpoint: Endpoint, in network: Network = .own, pause: Duration = .milliseconds(20),
    roundLimit: Duration = .seconds(10), _ body: (ClientLoop) async throws -> Result
) async throws -> Result {
    let loop = ClientLoop.start(to: endpoint, in: network, pause: pause, limit: roundLimit)
    do {
        let result = try await body(loop)
        try await loop.stop()
        return result
    } catch {
        try? await loop.stop()
        throw error
    }
}
