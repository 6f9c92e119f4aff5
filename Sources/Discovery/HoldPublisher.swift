// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import FoundationEssentials
package import Logging
package import Registry
import ServiceModel
import Synchronization

/// Tells others, through the registry, which instances this process holds, so that `legation services` shows it anywhere.
///
/// Best effort, and never in anybody's way: while nothing is held it holds no lease and says nothing; while something
/// is, one key for each held instance hangs on a lease taken for that time. A registry that does not let it is told of
/// once and left alone until the next hold.
///
/// ## Concurrency
/// One `run()`. What is held is behind one lock; `changed()` may be called from anywhere and never waits.
package final class HoldPublisher: Sendable {
    /// How long a word outlives the process that said it: the registrators' own default.
    private static let timeToLive = Duration.seconds(10)
    /// Longest transaction of a registry.
    private static let writesAtOnce = 128

    /// At least this long lies between two writes: a service that is held as a whole is one word, not thousands.
    private static let pace = Duration.milliseconds(200)

    /// One instance that is held.
    package struct Held: Sendable {
        package let place: KeyLayout.Place
        /// Whether its key stood elsewhere than the layout has it.
        package let isElsewhere: Bool
        package let row: ServiceReport.InstanceRow
    }

    private struct State {
        /// What is to be said, by key.
        var wanted: [String: [UInt8]] = [:]
        var hasToldDenied = false
    }

    private let store: any RegistryStore
    private let layout: KeyLayout
    private let holder: DiscoveryConfiguration.Holder
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let wallClock: @Sendable () -> Date
    private let random: @Sendable () -> Double
    private let state = Mutex(State())
    private let changes = Signal()

    /// - Parameters:
    ///   - wallClock: for `since` and `until`.
    ///   - random: 0..<1, for the jitter of retries.
    package init(
        store: any RegistryStore, layout: KeyLayout, holder: DiscoveryConfiguration.Holder, logger: Logger,
        clock: any Clock<Duration> = ContinuousClock(), wallClock: @escaping @Sendable () -> Date = { Date.now },
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.store = store
        self.layout = layout
        self.holder = holder
        self.logger = logger
        self.clock = clock
        self.wallClock = wallClock
        self.random = random
    }

    /// Says that something is held, or no longer.
    package func changed() { changes.raise() }

    /// Looks at what is held now. - Returns: whether anything is.
    private func update(_ held: [Held]) -> Bool {
        let now = wallClock()
        return state.withLock { state in
            var wanted: [String: [UInt8]] = [:]
            for held in held {
                let row = held.row
                guard let hold = row.hold else { continue }
                let key = layout.holdKey(place(held), process: holder.process)
                let record = HoldRecord(
                    endpoint: row.endpoint, node: holder.node,
                    since: Self.text(now.addingTimeInterval(-(hold.past / .seconds(1)))),
                    until: Self.text(now.addingTimeInterval(hold.left / .seconds(1))), order: layout.order,
                    key: held.isElsewhere ? row.key : nil)
                // The same hold seen again a moment later would differ by a rounded second: the first word stands.
                wanted[key] = Self.isSame(state.wanted[key], record) ? state.wanted[key] : record.encoded()
            }
            state.wanted = wanted
            return !wanted.isEmpty
        }
    }

    /// In a layout that says nodes, that of who holds stands for that of a key that says none.
    private func place(_ held: Held) -> KeyLayout.Place {
        let place = held.place
        guard layout.order == .nodeFirst, place.node == nil else { return place }
        return KeyLayout.Place(service: place.service, instance: place.instance, node: holder.node)
    }

    private static func isSame(_ standing: [UInt8]?, _ record: HoldRecord) -> Bool {
        standing.flatMap { try? HoldRecord(decoding: $0) }?.endpoint == record.endpoint
    }

    private static func text(_ date: Date) -> String { date.formatted(.iso8601) }

    /// Says what is held until cancelled.
    /// - Parameter held: rows of what is held at the time of the call.
    package func run(_ held: @escaping @Sendable () -> [Held]) async throws {
        var backoff = Backoff.ofReader
        while true {
            try Task.checkCancellation()
            guard update(held()) else {
                await changes.wait()
                continue
            }
            do {
                try await store.withOwner(timeToLive: Self.timeToLive) { owner in
                    try await self.say(held, under: owner)
                }
                backoff.reset()
            } catch let error as RegistryError where error.code == .permissionDenied {
                tellDenied(error)
                while update(held()), !Task.isCancelled { await changes.wait() }
            } catch {
                try Task.checkCancellation()
                logger.debug("holds could not be told", metadata: ["error": "\(error)"])
                try await clock.sleep(for: backoff.next(random: random()))
            }
        }
    }

    private var wanted: [String: [UInt8]] { state.withLock { $0.wanted } }

    private func tellDenied(_ error: RegistryError) {
        let isFirst = state.withLock { state in
            defer { state.hasToldDenied = true }
            return !state.hasToldDenied
        }
        guard isFirst else { return }
        logger.warning("registry does not let us tell what is held", metadata: ["error": "\(error)"])
    }

    /// Keeps the registry's word the same as ours until nothing is held; then the lease's end takes the rest along.
    private func say(
        _ held: @escaping @Sendable () -> [Held], under owner: any RegistryOwner
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [changes] in
                for await _ in owner.lifetimes { changes.raise() }
            }
            defer { group.cancelAll() }
            var lease: RegistryLease?
            var said: [String: [UInt8]] = [:]
            while !Task.isCancelled {
                guard update(held()) else { return }
                if owner.lease != lease {
                    lease = owner.lease
                    said = [:]
                }
                if let lease { try await write(wanted, over: &said, lease) }
                try await clock.sleep(for: Self.pace)
                await changes.wait()
            }
        }
    }

    private func write(
        _ wanted: [String: [UInt8]], over said: inout [String: [UInt8]], _ lease: RegistryLease
    ) async throws(RegistryError) {
        var writes = wanted.filter { said[$0.key] != $0.value }.map { key, value in
            RegistryWrite(key: key, condition: .none, operation: .put(value, lease: lease))
        }
        writes += said.keys.filter { wanted[$0] == nil }.map {
            RegistryWrite(key: $0, condition: .none, operation: .delete)
        }
        writes.sort { $0.key < $1.key }
        var rest = writes[...]
        while !rest.isEmpty {
            do throws(RegistryError) {
                _ = try await store.commit(Array(rest.prefix(Self.writesAtOnce)))
            } catch  where error.code == .leaseNotFound {
                // The next lease is on its way, and all is said again under it.
                return
            }
            rest = rest.dropFirst(Self.writesAtOnce)
        }
        said = wanted
    }
}
