// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
package import ServiceModel
private import Synchronization

/// Keeps `forward`'s snapshot up to date: looks names up at start, every 30 s, and soon after a connect failed.
///
/// ## Concurrency
/// One `run()`; `connectFailed()` from any thread.
package final class TargetResolver: Sendable {
    /// docs/promises.md, "Grammar".
    private static let period = Duration.seconds(30)
    /// A name without any answer holds a listener shut: asked again after 1 s, doubling up to the period.
    private static let firstRetry = Duration.seconds(1)
    /// Failing connects ask for a lookup each; DNS is asked this often at most.
    private static let minimumPause = Duration.seconds(1)

    /// One snapshot after another, the newest only; one consumer. Ends with `run()`.
    package let snapshots: AsyncStream<EndpointSnapshot>

    private let continuation: AsyncStream<EndpointSnapshot>.Continuation
    private let targets: Mutex<ForwardTargets>
    private let lookup: NameLookup
    private let isOwn: @Sendable (InstanceAddress) -> Bool
    private let isReleased: @Sendable (InstanceID) -> Bool
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let wake = Mutex<AsyncStream<Void>.Continuation?>(nil)

    /// - Parameters:
    ///   - isOwn: whether an address is a listener of ours.
    ///   - isReleased: `RelayEngine.hasReleased`.
    package init(
        targets: [ForwardTarget], lookup: NameLookup = NameLookup(),
        isOwn: @escaping @Sendable (InstanceAddress) -> Bool,
        isReleased: @escaping @Sendable (InstanceID) -> Bool, logger: Logger,
        clock: any Clock<Duration> = ContinuousClock()
    ) {
        (snapshots, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.targets = Mutex(ForwardTargets(targets))
        self.lookup = lookup
        self.isOwn = isOwn
        self.isReleased = isReleased
        self.logger = logger
        self.clock = clock
    }

    /// Asks for a lookup soon.
    package func connectFailed() { _ = wake.withLock { $0?.yield() } }

    /// Runs until cancelled.
    package func run() async {
        defer { continuation.finish() }
        let (names, isFirstLiteral) = targets.withLock { ($0.names, $0.isFirstLiteral) }
        // What comes first is preferred, so nothing is given out before the first target is known.
        if isFirstLiteral { publish() }
        var retry = Self.firstRetry
        while !Task.isCancelled {
            for await (name, answer) in lookup.answers(for: names) {
                tell(name, targets.withLock { $0.answered(name, answer) })
                publish()
            }
            let lacksAnswer = targets.withLock { $0.lacksAnswer }
            await pause(atMost: lacksAnswer ? retry : Self.period)
            retry = lacksAnswer ? min(retry * 2, Self.period) : Self.firstRetry
        }
    }

    private func publish() {
        let (snapshot, loops) = targets.withLock { targets in
            let known = targets.loops
            return (targets.snapshot(isOwn: isOwn, isReleased: isReleased), targets.loops.subtracting(known))
        }
        for loop in loops.sorted(by: { $0.description < $1.description }) {
            logger.error("target is a listener of this process, not used", metadata: ["endpoint": "\(loop)"])
        }
        if let snapshot { continuation.yield(snapshot) }
    }

    private func tell(_ name: String, _ change: ForwardTargets.Change) {
        switch change {
        case .none: break
        case .resolved(let addresses):
            let list = addresses.map(\.description).joined(separator: ",")
            logger.info("target resolved", metadata: ["target": "\(name)", "addresses": "\(list)"])
        case .failed(let reason):
            logger.warning("target cannot be resolved", metadata: ["target": "\(name)", "error": "\(reason)"])
        }
    }

    /// Waits for `limit` or for a failed connect, and in any case for the minimum between two lookups.
    private func pause(atMost limit: Duration) async {
        try? await clock.sleep(for: Self.minimumPause)
        guard limit > Self.minimumPause else { return }
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        wake.withLock { $0 = continuation }
        await withTaskGroup { [clock] group in
            group.addTask {
                try? await clock.sleep(for: limit - Self.minimumPause)
                continuation.finish()
            }
            for await _ in stream { break }
            group.cancelAll()
        }
        wake.withLock { $0 = nil }
    }
}
