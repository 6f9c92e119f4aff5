// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
import ServiceModel
import Synchronization

/// Follows an engine for as long as it runs: subscribes to its events, lists its containers, again whenever something
/// happened, and connects anew when that ends.
///
/// ## Concurrency
/// One `run()`, one consumer of `updates`. Inside, one task reads events and one lists; they share the schedule, behind one
/// lock.
package final class ContainerFeed: Sendable {
    /// What happens, in order. The oldest are dropped when nobody takes them, which the next listing makes good.
    package let updates: AsyncStream<ContainerUpdate>

    /// A thousand containers that end together say some three things each.
    private static let backlog = 4096
    /// From 100 ms, within which an engine does not restart, to 5 s (docs/promises.md, "Containers").
    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(5)

    private struct State {
        var schedule: ListingSchedule
        var isLost = false
        var hasListed = false
        /// By container.
        var inspections: [String: Inspection] = [:]
        /// Containers of which that was said already.
        var uninspectable: Set<String> = []
    }

    private let engine: any Engine
    private let inspects: Bool
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let elapsed: @Sendable () -> Duration
    private let random: @Sendable () -> Double
    private let continuation: AsyncStream<ContainerUpdate>.Continuation
    private let state: Mutex<State>
    private let hastened = Signal()

    /// - Parameters:
    ///   - inspects: whether to look at the image and the variables of each container that runs, which takes one more right.
    ///   - random: 0..<1, for the jitter of reconnects.
    package init(
        engine: any Engine, inspects: Bool = false, logger: Logger,
        clock: any Clock<Duration> = ContinuousClock(),
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.engine = engine
        self.inspects = inspects
        self.logger = logger
        self.clock = clock
        self.random = random
        elapsed = clock.stopwatch()
        (updates, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.backlog))
        state = Mutex(State(schedule: ListingSchedule(now: .zero)))
    }

    /// Follows until cancelled.
    /// - Throws: `CancellationError`; `DockerError` when the engine has never listed anything, and is too old or has twice in
    ///   a row forbidden us to connect, which only an operator can mend. (An engine that starts makes its socket first and
    ///   lets its group in then.)
    package func run() async throws {
        defer { continuation.finish() }
        var backoff = Backoff(first: Self.firstPause, longest: Self.longestPause)
        var refusals = 0
        while true {
            let begun = elapsed()
            let failure = await connect()
            try Task.checkCancellation()
            refusals = failure.code == .forbidden ? refusals + 1 : 0
            let (isNews, hasListed) = state.withLock { state in
                defer { state.isLost = true }
                return (!state.isLost, state.hasListed)
            }
            if !hasListed, refusals > 1 || failure.code == .tooOld { throw failure }
            if isNews { continuation.yield(.lost(failure)) }
            // One that breaks off again and again is not asked ten times a second for ever.
            if elapsed() - begun > Self.longestPause { backoff.reset() }
            logger.debug("engine does not answer", metadata: ["error": "\(failure)"])
            try await clock.sleep(for: backoff.next(random: random()))
        }
    }

    /// One connection, from the first question to its end. - Returns: how it ended.
    private func connect() async -> DockerError {
        do throws(DockerError) {
            let version = try await engine.negotiate()
            logger.debug("engine answers", metadata: ["version": "\(version)"])
            let now = elapsed()
            state.withLock { $0.schedule = ListingSchedule(now: now) }
            return await withTaskGroup(of: DockerError.self) { group in
                group.addTask { await self.follow(version) }
                group.addTask { await self.list(version) }
                defer { group.cancelAll() }
                return await group.next() ?? DockerError(.cancelled, "nobody follows the engine")
            }
        } catch {
            return error
        }
    }

    private func follow(_ version: APIVersion) async -> DockerError {
        do throws(DockerError) {
            try await engine.follow(version) {
                let now = self.elapsed()
                self.state.withLock { $0.schedule.subscribed(now: now) }
                self.hastened.raise()
            } heard: { event in
                self.heard(event)
            }
            return DockerError(.unreachable, "the engine has ended its events")
        } catch {
            return error
        }
    }

    private func heard(_ event: EngineEvent) {
        let now = elapsed()
        guard state.withLock({ $0.schedule.happened(event, now: now) }) else { return }
        if case .container(let event) = event { continuation.yield(.event(event)) }
        hastened.raise()
    }

    private func list(_ version: APIVersion) async -> DockerError {
        while !Task.isCancelled {
            let now = elapsed()
            let due = state.withLock { state in
                let due = state.schedule.due
                if due <= now { state.schedule.listingBegan(now: now) }
                return due
            }
            guard due <= now else {
                await hastened.wait(until: due, by: clock, elapsed)
                continue
            }
            do throws(DockerError) {
                let containers = try await completed(engine.containers(version), version)
                let isNews = state.withLock { state in
                    let isNews = state.schedule.listingEnded()
                    if isNews { (state.isLost, state.hasListed) = (false, true) }
                    return isNews
                }
                if isNews { continuation.yield(.listing(containers)) }
            } catch {
                return error
            }
        }
        return DockerError(.cancelled, "the engine is followed no longer")
    }

    /// The same containers, those that run with what only an inspection says, each of which is inspected once.
    ///
    /// One of which the engine says nothing of use has no image then: called like it, it might get another name later.
    private func completed(
        _ containers: [Container], _ version: APIVersion
    ) async throws(DockerError) -> [Container] {
        guard inspects else { return containers }
        var known = state.withLock { $0.inspections }
        var failures: [String: DockerError] = [:]
        for container in containers where container.state.isAlive && known[container.id] == nil {
            do throws(DockerError) {
                known[container.id] = try await engine.inspection(of: container.id, version)
            } catch {
                guard error.code == .refused || error.code == .malformed else { throw error }
                failures[container.id] = error
            }
        }
        // Who is refused every time is not allowed to ask: that is not the containers' doing.
        if known.isEmpty, let first = failures.values.first, failures.values.allSatisfy({ $0.code == .refused }) {
            throw first
        }
        let ids = Set(containers.map(\.id))
        known = known.filter { ids.contains($0.key) }
        state.withLock { $0.inspections = known }
        told(failures)
        return containers.map { container in
            var container = container
            if failures[container.id] != nil { container.image = "" }
            guard let inspection = known[container.id] else { return container }
            container.environment = inspection.environment
            if !inspection.image.isEmpty { container.image = inspection.image }
            return container
        }
    }

    private func told(_ failures: [String: DockerError]) {
        let news = state.withLock { state in
            defer { state.uninspectable = Set(failures.keys) }
            return failures.filter { !state.uninspectable.contains($0.key) }
        }
        for (container, error) in news {
            logger.warning(
                "container cannot be inspected, neither its image nor its environment counts",
                metadata: ["container": "\(container)", "error": "\(error)"])
        }
    }
}
